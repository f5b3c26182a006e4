"""The modes of a group: what it promises, and how Kafka shares its partitions out; and which of them are tried when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest

Delivery = Literal["exactly-once", "at-least-once", "at-most-once"]
Protocol = Literal["cooperative", "eager", "broker-assigned"]

# A broker that is back, and a member that is gone (movieapp.devstack.kafka.QUICK_SESSIONS), is noticed this soon.
_RECONNECTING = {"KAFKA_CONFIG_RECONNECT_BACKOFF_MAX_MS": "500"}
_QUICK = {
    **_RECONNECTING,
    "KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "250",
}
DELIVERIES: tuple[Delivery, ...] = ("exactly-once", "at-least-once", "at-most-once")
PROTOCOLS: Mapping[Protocol, Mapping[str, str]] = {
    "cooperative": _QUICK,
    "eager": {**_QUICK, "KAFKA_CONFIG_PARTITION_ASSIGNMENT_STRATEGY": "range"},
    "broker-assigned": {**_RECONNECTING, "KAFKA_CONFIG_GROUP_PROTOCOL": "consumer"},
}


@dataclass(frozen=True, slots=True)
class Mode:
    """One of the nine."""

    delivery: Delivery = "exactly-once"
    protocol: Protocol = "cooperative"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of `consume_ratings`."""
        return ("--delivery", self.delivery)

    @property
    def env(self) -> Mapping[str, str]:
        """Of `consume_ratings`."""
        return PROTOCOLS[self.protocol]

    @property
    def is_exact(self) -> bool:
        """Whether it is the default delivery, which is tried the hardest."""
        return self.delivery == "exactly-once"


EXACTLY_ONCE = Mode()
EACH_DELIVERY = (EXACTLY_ONCE, Mode("at-least-once", "eager"), Mode("at-most-once", "broker-assigned"))
"""Each delivery and each protocol, in as few modes as that takes."""
AT_MOST_ONCE = tuple(Mode("at-most-once", protocol) for protocol in PROTOCOLS)
"""Locks its positions before it updates them: nobody can take one out of a batch that is being written."""


def every_mode(*usual: Mode, but: tuple[Mode, ...] = ()) -> pytest.MarkDecorator:
    """The parameter `mode`: the `usual` ones in every run of the suite, the others, `but` those, in soak runs."""
    assert usual
    all_modes = [Mode(delivery, protocol) for delivery in DELIVERIES for protocol in PROTOCOLS]
    return pytest.mark.parametrize(
        "mode",
        [
            pytest.param(mode, id=f"{mode.delivery}-{mode.protocol}", marks=() if mode in usual else pytest.mark.soak)
            for mode in all_modes
            if mode not in but
        ],
    )

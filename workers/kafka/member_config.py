"""The configuration of a member of a consumer group: what it must be, and what it is where nobody says otherwise."""

from typing import Any

from workers.kafka.client import consumer_config, with_guarantees

# Waiting this long after a full queue (librdkafka's default is 1000 ms) would hold a reader to a fifth of its rate.
_QUEUE_BACKOFF_MS = 10
# What KAFKA_CONFIG_… may not change: positions come from the listener alone, and the consume loop needs the ends.
_GUARANTEES = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "fetch.queue.backoff.ms": _QUEUE_BACKOFF_MS,
    "check.crcs": True,  # librdkafka delivers what a disk has changed without a word otherwise
}
# For all partitions together, whatever librdkafka's documentation says of the first: it counts the one queue that they
# share. The second is also the most that one fetch brings, before decompression (fetch.max.bytes follows): 16 MB were
# a million small messages, 250 MB. With 1 MB it is tens of thousands, most of one partition. A batch of few
# partitions has few records: small fetches of all partitions took 2.7 times as many updates of aggregates.
_READ_AHEAD = {"queued.min.messages": 20_000, "queued.max.messages.kbytes": 1_024}
# How long a killed member keeps its partitions from others. librdkafka's default of 45 s makes every crash an outage.
_SESSION_TIMEOUT_MS = 10_000


def member_config(group: str, **overrides: Any) -> dict[str, Any]:
    """KAFKA_CLIENT_CONFIG of the settings and `overrides`, for a member of `group`."""
    ours = {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": _SESSION_TIMEOUT_MS}
    config = {**_READ_AHEAD, **consumer_config(**overrides)}
    if config.get("group.protocol") != "consumer":  # there the broker assigns, and has the time-outs
        config = {**ours, **config}
    return with_guarantees(config, {"group.id": group, **_GUARANTEES})

"""The registry without a server: the instances that the settings name, whether they are alive or not."""

import re
import threading
from collections.abc import Mapping, Sequence

import structlog

from workers.discovery.registry import Instance, Look, Mark

log = structlog.get_logger(__name__)

_MARK = "static"


class StaticRegistry:
    """See Registry. Nobody enters or leaves: registering changes nothing, and nothing is ever unavailable."""

    name = "static"

    def __init__(self, addresses: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        """`addresses` are (host, port) by service. An instance's id is made of its address."""
        self._instances = {
            service: frozenset(Instance(service, _id(host, port), host, port) for host, port in pairs)
            for service, pairs in addresses.items()
        }
        self._closed = threading.Event()

    def register(self, instance: Instance, *, ttl: float) -> None:
        """See Registry.register. Says so when no client will find the instance under its port."""
        listed = self._instances.get(instance.service, frozenset())
        # Only ports: a host has many names, and the one that callers use need not be ours.
        if instance.port not in {known.port for known in listed}:
            log.warning(
                "found_by_nobody",
                service=instance.service,
                port=instance.port,
                listed=sorted(known.address for known in listed),
                mend="name this address in DISCOVERY_STATIC, or choose DISCOVERY=consul or etcd",
            )

    def heartbeat(self, instance: Instance) -> None:
        """See Registry.heartbeat."""

    def deregister(self, instance: Instance) -> None:
        """See Registry.deregister."""

    def look(self, service: str, *, after: Mark | None, wait: float) -> Look:
        """See Registry.look. Nothing ever changes."""
        if after is not None:
            self._closed.wait(wait)
        return Look(self._instances.get(service, frozenset()), _MARK, was_reset=False)

    def services(self) -> Sequence[Instance]:
        """See Registry.services."""
        return sorted(instance for instances in self._instances.values() for instance in instances)

    def close(self) -> None:
        """See Registry.close."""
        self._closed.set()


def _id(host: str, port: int) -> str:
    """The same in every process and at each start, as the setting is."""
    return f"at-{re.sub(r'[^A-Za-z0-9._-]', '.', host)}-{port}"

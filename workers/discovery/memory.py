"""A registry in memory with the real ones' contract, for tests of whoever uses one."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from workers.clock import Clock, SystemClock
from workers.discovery.errors import NotRegistered, RegistryUnavailable
from workers.discovery.registry import Instance, Look, Mark


@dataclass(slots=True)
class _Listed:
    instance: Instance
    ttl: float
    until: float


@dataclass(slots=True, eq=False)
class MemoryRegistryServer:
    """What all MemoryRegistry objects of a test share. `away` makes every call fail; `wipe` starts it again, empty."""

    clock: Clock = field(default_factory=SystemClock)
    away: bool = False
    index: int = 1
    listed: dict[str, _Listed] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wipe(self) -> None:
        """Forgets everything and counts its changes from the beginning, as a server does that has lost its disk."""
        with self.changed:
            self.listed.clear()
            self.index = 1
            self.changed.notify_all()

    def expire(self) -> None:
        """Takes off whose time is over; with `changed` held."""
        now = self.clock.seconds()
        over = [key for key, listed in self.listed.items() if listed.until <= now]
        for key in over:
            del self.listed[key]
        if over:
            self.has_changed()

    def has_changed(self) -> None:
        """With `changed` held."""
        self.index += 1
        self.changed.notify_all()


class MemoryRegistry:
    """See Registry. A look that waits does so in the machine's time, whatever the server's clock."""

    name = "memory"

    def __init__(self, server: MemoryRegistryServer) -> None:
        self._server = server
        self._closed = False

    def register(self, instance: Instance, *, ttl: float) -> None:
        """See Registry.register."""
        with self._server.changed:
            self._answer()
            self._server.listed[instance.id] = _Listed(instance, ttl, self._server.clock.seconds() + ttl)
            self._server.has_changed()

    def heartbeat(self, instance: Instance) -> None:
        """See Registry.heartbeat."""
        with self._server.changed:
            self._answer()
            listed = self._server.listed.get(instance.id)
            if listed is None:
                raise NotRegistered(service=instance.service, instance_id=instance.id)
            listed.until = self._server.clock.seconds() + listed.ttl

    def deregister(self, instance: Instance) -> None:
        """See Registry.deregister."""
        with self._server.changed:
            self._answer()
            if self._server.listed.pop(instance.id, None) is not None:
                self._server.has_changed()

    def look(self, service: str, *, after: Mark | None, wait: float) -> Look:
        """See Registry.look."""
        with self._server.changed:
            self._answer()
            end = SystemClock().seconds() + wait
            while after == self._server.index and (left := end - SystemClock().seconds()) > 0:
                self._server.changed.wait(min(left, 0.05))  # time alone takes instances off, too
                self._answer()
            found = frozenset(one.instance for one in self._server.listed.values() if one.instance.service == service)
            index = self._server.index
            return Look(found, index, was_reset=isinstance(after, int) and index < after)

    def services(self) -> Sequence[Instance]:
        """See Registry.services."""
        with self._server.changed:
            self._answer()
            return sorted(listed.instance for listed in self._server.listed.values())

    def close(self) -> None:
        """See Registry.close."""
        self._closed = True

    def _answer(self) -> None:
        if self._server.away or self._closed:
            raise RegistryUnavailable(
                registry="the registry in memory", where="this process", reason="it is away", settings="the test"
            )
        self._server.expire()

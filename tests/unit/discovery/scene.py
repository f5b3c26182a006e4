"""A registry in memory at a clock that goes on only when told, and what stands in the log."""

from dataclasses import dataclass

from workers.clock import Clock
from workers.discovery.memory import MemoryRegistry, MemoryRegistryServer
from workers.discovery.registry import Instance

TTL = 9.0


@dataclass
class FakeClock(Clock):
    """Time that goes on only when told."""

    now: float = 100.0

    def seconds(self) -> float:
        return self.now

    def microseconds(self) -> int:
        return int(self.now * 1e6)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Scene:
    """One registry server, and our connection to it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server = MemoryRegistryServer(clock=self.clock)
        self.registry = MemoryRegistry(self.server)

    @property
    def listed(self) -> set[str]:
        """The ids that the registry lists now."""
        return {one.id for one in MemoryRegistry(self.server).services()}


def instance(name: str, *, port: int = 8082, host: str = "10.0.0.1") -> Instance:
    """An instance of `ratings`."""
    return Instance("ratings", name, host, port)

"""What servers and clients ask of a registry, whichever it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from movieapp.hosts import is_host, is_unspecified

CALL_TIMEOUT = 5.0
"""Seconds within which a registry answers, or is unavailable."""

Mark: TypeAlias = object
"""Up to where a look has seen: the registry's own, to hand back to it and nothing else."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One server of a service: a process, or several behind one port. `id` is random, and another at each start.

    `host` is a name or an address as its callers reach it, an IPv6 one without brackets. Raises ValueError for what
    cannot be one, as a registry may hold what anybody has written into it.
    """

    service: str
    id: str
    host: str
    port: int

    def __post_init__(self) -> None:
        for name in ("service", "id"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise ValueError(f"{value!r} is no {name} of an instance")
        if not isinstance(self.host, str) or not is_host(self.host):
            raise ValueError(f"{self.host!r} is no host: a name or an address, without a port or a %scope")
        if is_unspecified(self.host):
            raise ValueError(f"{self.host!r} is each caller's own machine: give an address that others reach")
        if not isinstance(self.port, int) or isinstance(self.port, bool) or not 0 < self.port < 65_536:
            raise ValueError(f"{self.port!r} is not a port")

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Look:
    """The instances of a service at one moment.

    `was_reset`: the registry has begun anew since the look before, so that who is missing here may only not have
    registered again yet.
    """

    instances: frozenset[Instance]
    mark: Mark
    was_reset: bool


class Registry(Protocol):
    """Several threads may use one at once. Every call ends within CALL_TIMEOUT seconds, a look within `wait` more,
    unless a registry says otherwise.

    All but `close` raise RegistryUnavailable.
    """

    name: str
    """What people call it."""

    def register(self, instance: Instance, *, ttl: float) -> None:
        """The instance is listed, at once or a moment later, until `ttl` seconds (2 or more) pass without a heartbeat.

        Idempotent: registered again it has its whole time before it again.
        """

    def heartbeat(self, instance: Instance) -> None:
        """The instance, registered through this object, is alive: its time begins anew.

        Raises NotRegistered when the registry has forgotten it: its time was over, somebody took it off, the registry
        was wiped. Then only `register` brings it back; a heartbeat that is merely late may do so itself.
        """

    def deregister(self, instance: Instance) -> None:
        """The instance is not listed any more; nothing happens when it was not. Others are never touched."""

    def look(self, service: str, *, after: Mark | None, wait: float) -> Look:
        """The service's instances: at once without a mark, else once they have changed, or after `wait` seconds.

        It may come sooner without a change. After RegistryUnavailable look again without a mark.
        """

    def services(self) -> Sequence[Instance]:
        """All instances of all our services, in order."""

    def close(self) -> None:
        """Lets go of all connections; a look that waits may end at once, with RegistryUnavailable."""

"""Keeps the known instances of one service, the last ones while the registry is away."""

from collections.abc import Callable

import structlog

from workers.backoff import Backoff
from workers.clock import Clock, SystemClock
from workers.discovery.errors import RegistryUnavailable
from workers.discovery.registry import Instance, Look, Mark, Registry

log = structlog.get_logger(__name__)

_FIRST_DELAY, _LONGEST_DELAY = 0.2, 5.0
_LOOKS_A_TTL = 3
"""As many as heartbeats: a registry that stands still for long enough to lose one shows in a look that lasts."""
_PAUSE = 0.05
"""Seconds between two looks: a registry where much else changes may end each look at once."""
_NOBODY: frozenset[Instance] = frozenset()


class KnownInstances:
    """Call `turn` again and again, from one thread; `instances` may be read from any.

    A registry that was away, stood still or has begun anew may not have heard of everybody again: then who is missing
    from a look is still taken for alive until one TTL is over, in which each one that lives has sent its heartbeat.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        service: str,
        ttl: float,
        on_change: Callable[[frozenset[Instance]], None],
        clock: Clock | None = None,
    ) -> None:
        """`ttl`: what the instances are registered with, in seconds. `on_change` is called in the turns' thread."""
        self.service = service
        self.instances = _NOBODY
        self._registry = registry
        self._ttl = ttl
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._backoff = Backoff(first=_FIRST_DELAY, most=_LONGEST_DELAY, clock=self._clock)
        self._mark: Mark | None = None
        self._doubted = _NOBODY  # missing from the registry, and not given up yet
        self._doubted_until = 0.0
        self._stood_still = False

    def turn(self, *, wait: float = 10.0) -> float:
        """One look, of `wait` seconds at most while nothing changes; returns when the next is due, in seconds."""
        begun = self._clock.seconds()
        wait = min(wait, self._ttl / _LOOKS_A_TTL)
        if self._doubted:
            wait = max(0.0, min(wait, self._doubted_until - begun))
        try:
            look = self._registry.look(self.service, after=self._mark, wait=wait)
        except RegistryUnavailable as error:
            if self._backoff.attempts == 0:
                log.warning(
                    "registry_away",
                    service=self.service,
                    kept=len(self.instances),
                    reason=error.reason,
                    settings=error.settings,
                )
            self._mark = None
            return self._backoff.begin()
        stood_still = self._clock.seconds() - begun > wait + self._ttl / _LOOKS_A_TTL
        # The look after it counts, too: it may be the first to miss those whose time was over meanwhile.
        self._take(look, was_away=self._backoff.attempts > 0, stood_still=stood_still or self._stood_still)
        self._stood_still = stood_still
        return _PAUSE

    def _take(self, look: Look, *, was_away: bool, stood_still: bool) -> None:
        if was_away or look.was_reset:
            self._doubt()
            log.info("registry_back", service=self.service, was_reset=look.was_reset, found=len(look.instances))
        elif stood_still and not self._doubted:  # where it is always as slow, those who died are given up even so
            self._doubt()
        self._backoff.reset()
        self._mark = look.mark
        if self._clock.seconds() >= self._doubted_until:
            self._doubted = _NOBODY
        # One that has come back under its address is there, whatever its id.
        back = {(one.host, one.port) for one in look.instances}
        self._doubted = frozenset(one for one in self._doubted if (one.host, one.port) not in back)
        self._set(look.instances | self._doubted)

    def _doubt(self) -> None:
        """Whoever is missing from now on is given up one TTL from now."""
        self._doubted = self.instances
        self._doubted_until = self._clock.seconds() + self._ttl

    def _set(self, instances: frozenset[Instance]) -> None:
        if instances == self.instances:
            return
        log.info(
            "instances_changed",
            service=self.service,
            instances=sorted(one.address for one in instances),
            missing_from_registry=sorted(one.address for one in self._doubted),
        )
        self.instances = instances
        self._on_change(instances)

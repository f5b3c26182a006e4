"""Keeps one instance registered for as long as it is healthy, whatever happens to the registry."""

import threading
from collections.abc import Callable

import structlog

from workers.backoff import Backoff
from workers.clock import Clock, SystemClock
from workers.discovery.errors import NotRegistered, RegistryUnavailable
from workers.discovery.registry import Instance, Registry

log = structlog.get_logger(__name__)

_TURNS_A_TTL = 3
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 5.0
_UNHEALTHY_PAUSE = 1.0


class Registrar:
    """Call `turn` again and again, from one thread, and `stop` once, from any.

    A heartbeat goes out only while `is_healthy`, three times a TTL: who does not answer callers drops out of the
    registry within one TTL, and comes back by itself. While the registry is away it is asked again and again.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        instance: Instance,
        ttl: float,
        is_healthy: Callable[[], bool],
        clock: Clock | None = None,
    ) -> None:
        """`ttl` in seconds, 2 or more. `is_healthy` asks the instance through its own port, and never raises."""
        self.instance = instance
        self.is_registered = False
        self._registry = registry
        self._ttl = ttl
        self._is_healthy = is_healthy
        self._was_healthy = True
        self._may_be_registered = False
        self._clock = clock or SystemClock()
        self._backoff = Backoff(first=_FIRST_DELAY, most=min(_LONGEST_DELAY, ttl / _TURNS_A_TTL), clock=self._clock)
        self._stopped = False
        self._turning = threading.Lock()

    def turn(self) -> float:
        """Registers or sends a heartbeat, once; returns after how many seconds the next turn is due."""
        with self._turning:
            begun = self._clock.seconds()
            if self._stopped:
                return self._ttl
            if not self._healthy():
                return min(_UNHEALTHY_PAUSE, self._ttl / _TURNS_A_TTL)
            try:
                self._tell_registry()
            except RegistryUnavailable as error:
                if self._backoff.attempts == 0:
                    log.warning(
                        "registry_away", service=self.instance.service, reason=error.reason, settings=error.settings
                    )
                return self._backoff.begin()
            if self._backoff.attempts:
                log.info("registry_back", service=self.instance.service)
                self._backoff.reset()
            # Three a TTL also where the registry, or the instance itself, takes its time to answer.
            return max(0.0, self._ttl / _TURNS_A_TTL - (self._clock.seconds() - begun))

    def stop(self) -> None:
        """Takes the instance off the registry, if it was ever told of it; later turns do nothing.

        Ends within some 10 s. Where the registry does not answer the log says so: the instance drops out after its TTL.
        """
        was_stopped, self._stopped = self._stopped, True
        with self._turning:
            if was_stopped or not self._may_be_registered:
                return
            self.is_registered = False
            try:
                self._registry.deregister(self.instance)
            except RegistryUnavailable as error:
                log.warning(
                    "not_deregistered", instance=self.instance.id, drops_out_after=self._ttl, reason=error.reason
                )
            else:
                log.info("deregistered", service=self.instance.service, instance=self.instance.id)

    def _tell_registry(self) -> None:
        if self.is_registered:
            try:
                self._registry.heartbeat(self.instance)
            except NotRegistered:
                self.is_registered = False
                log.warning("not_registered_any_more", service=self.instance.service, instance=self.instance.id)
        if not (self.is_registered or self._stopped):
            self._may_be_registered = True
            self._registry.register(self.instance, ttl=self._ttl)
            self.is_registered = True
            log.info(
                "registered",
                service=self.instance.service,
                instance=self.instance.id,
                address=self.instance.address,
                registry=self._registry.name,
            )

    def _healthy(self) -> bool:
        healthy = self._is_healthy()
        if healthy is not self._was_healthy:
            log.warning("healthy_again" if healthy else "unhealthy", service=self.instance.service)
        self._was_healthy = healthy
        return healthy

"""The entries of a server in the registry: one for each of its services, while the server is healthy."""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings

from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.hosts import is_unspecified
from workers.discovery.backends import make_registry
from workers.discovery.background import Background
from workers.discovery.errors import UnusableSetting
from workers.discovery.registrar import Registrar
from workers.discovery.registry import Instance, Registry

_DEREGISTERED_WITHIN = 5.0
"""Seconds that the end of a server may wait for a registry; what it does not take drops out after its TTL."""


def instances_of(options: ServeOptions, ports: Sequence[int]) -> list[Instance]:
    """The server as its callers find it, once for each service; `ports` are one for all or one for each.

    Raises CannotServe for a GRPC_ADVERTISED_HOST that cannot be one.
    """
    host = settings.GRPC_ADVERTISED_HOST.removeprefix("[").removesuffix("]") or options.host
    if is_unspecified(host):
        host = socket.gethostname()
    each = ports if len(ports) == len(options.services) else [ports[0]] * len(options.services)
    try:
        return [
            Instance(service, secrets.token_hex(8), host, port)
            for service, port in zip(options.services, each, strict=True)
        ]
    except ValueError as error:
        raise CannotServe(
            f"The registry cannot be told where this server is: {error}. Set GRPC_ADVERTISED_HOST."
        ) from None


class Entries:
    """What a server has in the registry, once it is inside `listed`."""

    def __init__(self, registry: Registry, instances: Sequence[Instance], *, is_healthy: Callable[[], bool]) -> None:
        self._registrars = [
            Registrar(registry=registry, instance=instance, ttl=settings.DISCOVERY_TTL_SECONDS, is_healthy=is_healthy)
            for instance in instances
        ]
        self._turning = [
            Background(registrar.turn, name=f"register-{registrar.instance.service}") for registrar in self._registrars
        ]

        self._leaving: list[threading.Thread] = []

    @contextmanager
    def listed(self) -> Iterator[None]:
        """Registers and sends heartbeats while the server is healthy; the block's end begins to take all of them off.

        It waits for nobody, as whoever else is told of the end must not wait either: `end` does.
        """
        for turning in self._turning:
            turning.start()
        try:
            yield
        finally:
            for turning in self._turning:
                turning.stop()
            self._leaving = [threading.Thread(target=registrar.stop, daemon=True) for registrar in self._registrars]
            for thread in self._leaving:
                thread.start()

    def end(self) -> None:
        """All of them are off the registry, within 5 seconds or not at all."""
        until = time.monotonic() + _DEREGISTERED_WITHIN
        for thread in self._leaving:
            thread.join(max(0.0, until - time.monotonic()))


@contextmanager
def entries_kept(instances: Sequence[Instance], *, is_healthy: Callable[[], bool]) -> Iterator[Entries]:
    """Entries in the registry of the settings, off it at the block's end.

    Raises CannotServe when a file that the settings name cannot be used. A registry that is away is asked again.
    """
    try:
        registry = make_registry()
    except UnusableSetting as error:
        raise CannotServe(str(error)) from error
    entries = Entries(registry, instances, is_healthy=is_healthy)
    try:
        yield entries
    finally:
        entries.end()
        registry.close()

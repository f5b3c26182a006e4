"""A metadata server, a movie server that asks the others, and rating servers that come and go; one registry for all."""

import os
import signal
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from movieapp.devstack.ports import LOOPBACK, free_port
from tests.fixtures.processes import ManagedProcess
from tests.fixtures.registries import RegistryServer, consul_server, etcd_server
from tests.waiting import wait_until
from workers.discovery.consul import ConsulAddress, ConsulRegistry
from workers.discovery.errors import RegistryUnavailable
from workers.discovery.etcd import EtcdRegistry
from workers.discovery.registry import Registry

TTL = 2
"""Seconds; the shortest there is."""

LONG_TTL = 60
"""Longer than any test of these lasts."""

REGISTRIES: Mapping[str, Callable[[Path], RegistryServer]] = {"etcd": etcd_server, "consul": consul_server}
_CALLS = 'grpc_server_handled_total{grpc_code="OK",grpc_method="GetAggregatedRating",'


@dataclass(eq=False)
class Server:
    """A running `serve_grpc` of one service."""

    process: ManagedProcess
    metrics_port: int
    ttl: int

    @property
    def address(self) -> str:
        """Where it serves; waits until it does."""
        return self.process.served()

    @property
    def ratings_read(self) -> int:
        """How many calls for a rating it has answered."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(_CALLS)))

    def said(self, event: str) -> list[dict[str, object]]:
        """All entries of its log for this event."""
        return self.process.entries(event)

    def freeze(self) -> None:
        """It keeps its port and its connections, and answers nothing."""
        self.process.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Goes on after `freeze`."""
        self.process.popen.send_signal(signal.SIGCONT)


class Scene:
    """All servers of one registry. Tests leave the registry and the other servers running; ratings as they please."""

    def __init__(self, registry: RegistryServer, environment: Mapping[str, str]) -> None:
        self.registry = registry
        self.ratings: list[Server] = []
        self._environment = {
            **environment,
            **registry.settings,
            "GRPC_THREADS": "4",
            "MOVIE_DETAILS_SOURCE": "grpc",
            "MOVIE_DETAILS_PARTIAL": "false",
            # Longer than gRPC needs to see that an instance is frozen, also on a busy machine.
            "MOVIE_DETAILS_TIMEOUT_MS": "3500",
            "PYTHONUNBUFFERED": "1",
        }
        self._started: list[Server] = []
        self.metadata = self._start("metadata")
        self.movie = self._start("movie")

    def join(self, *, ttl: int = TTL) -> Server:
        """Starts one more rating server, and returns at once."""
        server = self._start("ratings", ttl=ttl)
        self.ratings.append(server)
        return server

    def with_ratings(self, number: int, *, ttl: int = TTL) -> None:
        """So many rating servers run, all with this TTL, and the movie server knows them and nobody else."""
        for server in [one for one in self.ratings if one.ttl != ttl]:
            self.dismiss(server)
        while len(self.ratings) < number:
            self.join(ttl=ttl)
        while len(self.ratings) > number:
            self.dismiss(self.ratings[-1])
        self.wait_until_known()

    def wait_until_known(self) -> None:
        """Until the movie server knows the metadata server and the rating servers, all of them and only them."""
        wanted = {server.address for server in self.ratings}
        wait_until(lambda: self.known("ratings") == wanted and self.known("metadata"), message=self.story)

    def wait_until_not_known(self, server: Server) -> None:
        """Until the movie server knows this rating server no more."""
        wait_until(lambda: server.address not in self.known("ratings"), message=self.story)

    def known_without(self, server: Server, *, since: float) -> float:
        """Seconds from then, by the clock, until the movie server knew this rating server no more, by its log."""
        self.wait_until_not_known(server)
        changes = [one for one in self.movie.said("instances_changed") if one["service"] == "ratings"]
        with_it = max(number for number, one in enumerate(changes) if server.address in one["instances"])  # type: ignore[operator]
        return datetime.fromisoformat(str(changes[with_it + 1]["timestamp"])).timestamp() - since

    @property
    def nobody_words(self) -> str:
        """What a caller is told while there is no rating server."""
        setting = {"etcd": "DISCOVERY_ETCD_ENDPOINTS", "consul": "DISCOVERY_CONSUL_URL"}[self.registry.kind]
        return f"No instance of ratings is known ({self.registry.kind}: {setting})."

    def known(self, service: str) -> set[str]:
        """Whom the movie server calls, by its log."""
        changes = [one for one in self.movie.said("instances_changed") if one["service"] == service]
        return set(changes[-1]["instances"]) if changes else set()  # type: ignore[call-overload]

    def listed(self) -> set[str]:
        """The addresses that the registry lists, of all services; none while it is away."""
        registry = self._client()
        try:
            return {one.address for one in registry.services()}
        except RegistryUnavailable:
            return set()
        finally:
            registry.close()

    def kill(self, server: Server) -> None:
        """SIGKILL to a rating server."""
        self.ratings.remove(server)
        server.process.kill()
        server.process.wait()

    def dismiss(self, server: Server) -> None:
        """SIGTERM to a rating server, which must end well."""
        self.ratings.remove(server)
        server.thaw()  # a test that failed may have left it frozen
        server.process.terminate()
        assert server.process.wait() == 0, server.process.output()

    def story(self) -> str:
        """The last words of everybody, for a failed test."""
        return "\n".join(
            f"---- {server.process.args}\n" + "\n".join(server.process.output().splitlines()[-8:])
            for server in self._started
        )

    def close(self) -> None:
        """Ends everybody who is left."""
        for server in self._started:
            server.process.kill()
            server.process.wait()

    def _start(self, service: str, *, ttl: int = TTL) -> Server:
        metrics = free_port(taken=frozenset(server.metrics_port for server in self._started))
        environment = {**self._environment, "GRPC_METRICS_PORT": str(metrics), "DISCOVERY_TTL_SECONDS": str(ttl)}
        process = ManagedProcess(("serve_grpc", "--service", service, "--port", "0"), environment)
        server = Server(process, metrics, ttl)
        self._started.append(server)
        return server

    def _client(self) -> Registry:
        if self.registry.kind == "etcd":
            return EtcdRegistry([self.registry.address])
        return ConsulRegistry(ConsulAddress(scheme="http", host=LOOPBACK, port=self.registry.port, token=None, ca=None))


@contextmanager
def scene_of(kind: str, environment: Mapping[str, str]) -> Iterator[Scene]:
    """A scene with a registry of this kind, all of which ends with the block. Skips where there is no such registry."""
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        registry = REGISTRIES[kind](Path(folder))
        try:
            registry.start()
            scene = Scene(registry, environment)
            try:
                yield scene
            finally:
                scene.close()
        finally:
            registry.stop()


def database_environment(name: str) -> Mapping[str, str]:
    """The environment of a process that uses this database of the run's Postgres."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{quote(name)}").geturl()
    return {**os.environ, "DATABASE_URL": url}

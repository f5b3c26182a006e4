"""The gRPC processes of the stack, one for each service: how to start them, and where they are."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from movieapp.devstack.child import Command
from movieapp.devstack.layout import PROJECT_ROOT, StateFolder
from movieapp.devstack.ports import LOOPBACK, is_answering

READY_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class GrpcServer:
    """One service alone in a process, which finds the others as any instance of it would."""

    service: str
    port: int
    state: StateFolder
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """As a child, and in file names."""
        return f"grpc-{self.service}"

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> Command:
        """What to start."""
        return Command(
            name=self.name,
            argv=[
                *(sys.executable, str(PROJECT_ROOT / "manage.py"), "serve_grpc", "--service", self.service),
                *("--host", LOOPBACK, "--port", str(self.port)),
            ],
            log=self.state.logs / f"{self.name}.log",
            env={**self.environment, "MOVIE_DETAILS_SOURCE": "grpc", "GRPC_METRICS_PORT": "0"},
            cwd=PROJECT_ROOT,
        )

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        return is_answering(self.port)


def static_addresses(ports: Mapping[str, int]) -> str:
    """DISCOVERY_STATIC, by which each service finds the others and `manage.py services` finds them all."""
    return ";".join(f"{service}={LOOPBACK}:{port}" for service, port in ports.items())


def example_call(servers: Iterable[GrpcServer], *, movie_id: str) -> str:
    """A command line that asks for the details of a movie; empty where nobody serves them."""
    for server in servers:
        if server.service == "movie":
            message = f'{{"movie_id": "{movie_id}"}}'
            method = "movieapp.v1.MovieService/GetMovieDetails"
            return f"grpcurl -plaintext -d '{message}' {server.address} {method}"
    return ""

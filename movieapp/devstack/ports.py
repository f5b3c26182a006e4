"""Chooses free TCP ports on loopback: where people look first, then the ones of the last run."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.layout import write_private

LOOPBACK = "127.0.0.1"
GRPC_SERVICES = ("metadata", "ratings", "movie")
FIRST: Mapping[str, int] = {"web": 8000, "grpc_metadata": 8081, "grpc_ratings": 8082, "grpc_movie": 8083}
"""What people expect to find there; whatever is not in here gets any port."""
_SERVERS = ("web", "postgres", "kafka", "kafka_controller")
_GRPC = "grpc_"


def reserved_socket(port: int) -> socket.socket | None:
    """A socket bound to the loopback port (0: any) and not yet listening; None when another process has the port.

    While it is open nobody gets the port by chance, yet a server that sets SO_REUSEADDR can still bind it (Linux).
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        return None
    return bound


def is_answering(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False


def free_port(*, preferred: Sequence[int] = (), taken: frozenset[int] = frozenset()) -> int:
    """The first of `preferred` that nobody has, else one that the kernel picks; never one of `taken`."""
    for wanted in preferred:
        if wanted in taken or is_answering(wanted):
            continue
        probe = reserved_socket(wanted)
        if probe is not None:
            probe.close()
            return wanted
    while True:
        probe = reserved_socket(0)
        if probe is None:
            raise OSError(f"no free TCP port on {LOOPBACK}")
        port: int = probe.getsockname()[1]
        probe.close()
        if port not in taken:
            return port


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of one stack."""

    postgres: int
    kafka: int
    kafka_controller: int
    web: int
    grpc: Mapping[str, int]
    """Of each service."""


@contextmanager
def chosen_ports(remembered: Path, *, first: Mapping[str, int] = FIRST) -> Iterator[Ports]:
    """Different free ports: of those that are free the one in `first`, or else the last run's; remembers the choice.

    No other stack chooses them before the block's end, so that two which start at once do not meet.
    """
    last = _read(remembered)
    chosen: dict[str, int] = {}
    with ExitStack() as claims:
        for name in (*_SERVERS, *(_GRPC + service for service in GRPC_SERVICES)):
            preferred = [ports[name] for ports in (first, last) if name in ports]
            claim = _claim_of_free_port(preferred, taken=frozenset(chosen.values()))
            chosen[name] = claims.enter_context(claim).getsockname()[1]
        write_private(remembered, json.dumps(chosen))
        grpc = {service: chosen.pop(_GRPC + service) for service in GRPC_SERVICES}
        yield Ports(**chosen, grpc=grpc)


def _claim_of_free_port(preferred: Sequence[int], *, taken: frozenset[int]) -> socket.socket:
    """A UDP socket of a free TCP port's number: no server of ours uses it, and no other stack can have it, too."""
    while True:
        port = free_port(preferred=preferred, taken=taken)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((LOOPBACK, port))
        except OSError:
            claim.close()
            taken |= {port}
        else:
            return claim


def _read(remembered: Path) -> dict[str, int]:
    try:
        stored = json.loads(remembered.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {name: port for name, port in stored.items() if isinstance(port, int) and 0 < port < 65536}

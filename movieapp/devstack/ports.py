"""Chooses free TCP ports on loopback, the ones of the last run first."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.layout import write_private

LOOPBACK = "127.0.0.1"


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


def free_port(*, preferred: int = 0, taken: frozenset[int] = frozenset()) -> int:
    """`preferred` if nobody has it, else one that the kernel picks; never one of `taken`."""
    if preferred and preferred not in taken and not is_answering(preferred):
        probe = reserved_socket(preferred)
        if probe is not None:
            probe.close()
            return preferred
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


def choose_ports(remembered: Path, *, first_web: int = 8000) -> Ports:
    """Four different free ports, those of the last run where they are still free; the choice is remembered."""
    last = _read(remembered)
    taken: frozenset[int] = frozenset()
    chosen: dict[str, int] = {}
    for name, default in (("web", first_web), ("postgres", 0), ("kafka", 0), ("kafka_controller", 0)):
        chosen[name] = free_port(preferred=last.get(name, default), taken=taken)
        taken |= {chosen[name]}
    write_private(remembered, json.dumps(chosen))
    return Ports(**chosen)


def _read(remembered: Path) -> dict[str, int]:
    try:
        stored = json.loads(remembered.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {name: port for name, port in stored.items() if isinstance(port, int) and 0 < port < 65536}

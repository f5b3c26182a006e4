"""What `serve_grpc` is asked for."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

LOOPBACK: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - named, not bound
"""The names of all addresses of this machine, and the one of them that it always has."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Which services a server offers and where it listens.

    Without `port` each service has its own default one; 0 is any free one. `host` is a name or an address, an IPv6 one
    without brackets. `drain` and `grace` are seconds: how long it says that it stops before it does, and how long calls
    in hand may take then. `supervisor` is the process that has started this one, and others beside it; `signs` is the
    descriptor on which it looks for signs of life.
    """

    services: tuple[str, ...]
    host: str
    port: int | None
    threads: int
    streams: int
    drain: float = 0.5
    grace: float = 10.0
    supervisor: int | None = None
    signs: int | None = None

    @property
    def shares_port(self) -> bool:
        """Whether other processes listen on the same ports; grpc's own default lets them do so by accident."""
        return self.supervisor is not None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def address(self, port: int) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

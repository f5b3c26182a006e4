"""From instances to what a channel is made for: the names of their hosts looked up, all addresses in one target."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from movieapp.hosts import is_address

Address: TypeAlias = tuple[str, int]
"""An IP address without brackets, and a port."""


def is_name(host: str) -> bool:
    """Whether the host has to be looked up."""
    return not is_address(host)


def look_up(name: str) -> Sequence[str]:
    """All addresses of the name. Raises OSError; may take as long as the machine's resolver does."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # what it says of a name that is none, such as a..b
        raise OSError(str(error)) from error
    return sorted({str(entry[4][0]) for entry in found})


def target_of(addresses: Iterable[Address]) -> str:
    """One target of grpc for all of them; of both kinds, IPv4 addresses are written as IPv6 ones."""
    parsed = [(ipaddress.ip_address(host), port) for host, port in addresses]
    if all(one.version == 4 for one, _ in parsed):
        return "ipv4:" + ",".join(f"{one}:{port}" for one, port in parsed)
    return "ipv6:" + ",".join(f"[{'::ffff:' if one.version == 4 else ''}{one}]:{port}" for one, port in parsed)

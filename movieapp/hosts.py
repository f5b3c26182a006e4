"""What a host can be called, in a setting and in a registry alike."""

import ipaddress
import re
import socket

_LABEL = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")


def is_host(text: str) -> bool:
    """Whether it is a name that a resolver can be asked for, or an IP address: without brackets and without a port.

    An address with a scope (`fe80::1%eth0`) is none, as on another machine it means another host or nobody.
    """
    if ":" in text:
        return "%" not in text and is_address(text)
    return _NAME.fullmatch(text) is not None


def is_unspecified(host: str) -> bool:
    """Whether it means all addresses of a machine, however it is written: to whoever calls it, the caller's own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_short_zero(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_unspecified or (mapped is not None and mapped.is_unspecified)


def is_address(text: str) -> bool:
    """Whether it is an IP address, without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_short_zero(host: str) -> bool:
    """Resolvers take `0`, `0.0` and `0x0` for 0.0.0.0."""
    try:
        return not any(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return False

"""Reads one variable of the environment at a time and refuses what it cannot use, naming the variable."""

import os
import re
from collections.abc import Collection, Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from movieapp.hosts import is_host, is_unspecified

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")
_KAFKA_PREFIX = "KAFKA_CONFIG_"
MAKE_RUN = "Or start `make run`: it starts everything that is needed, and manage.py finds it by itself."


def required(env: Env, name: str, wants: str) -> str:
    """The variable's text. Raises ImproperlyConfigured, with what it wants, when it is unset or empty."""
    value: str = env.str(name, default="").strip()
    if not value:
        raise ImproperlyConfigured(f"Set the environment variable {name}: {wants}. {MAKE_RUN}")
    return value


def flag(env: Env, name: str, *, default: bool) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off and empty; anything else is refused."""
    value: str = env.str(name, default="true" if default else "false").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: it wants true or false.")


def names(env: Env, name: str, *, default: list[str]) -> list[str]:
    """A comma-separated list without empty entries."""
    value: str = env.str(name, default="")
    return [part.strip() for part in value.split(",") if part.strip()] or default


def whole_number(env: Env, name: str, *, default: int, lowest: int, highest: int, special: int | None = None) -> int:
    """A whole number from `lowest` to `highest`, or `special`, which has a meaning of its own."""
    text: str = env.str(name, default=str(default)).strip()
    wants = f"a whole number from {lowest} to {highest}" + ("" if special is None else f", or {special}")
    try:
        value = int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text[:40]!r}: it wants {wants}.") from None
    if value != special and not lowest <= value <= highest:
        raise ImproperlyConfigured(f"{name} is {text[:40]}: it wants {wants}.")
    return value


def one_of(env: Env, name: str, choices: Sequence[str], *, default: str) -> str:
    """One of the choices, whatever the case it is written in."""
    value: str = env.str(name, default=default).strip().upper()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}: it wants one of {', '.join(choices)}.")
    return value


def addresses(env: Env, name: str, *, default: str, services: Collection[str]) -> dict[str, list[tuple[str, int]]]:
    """Hosts and ports by service, of `service=host:port,host:port;service=…`; an IPv6 address is in brackets.

    At least one service, and none but those of `services`.
    """
    text: str = env.str(name, default="").strip() or default
    found: dict[str, list[tuple[str, int]]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        service, _, listed = part.partition("=")
        pairs = [_ADDRESS.fullmatch(one.strip()) for one in listed.split(",")]
        if service.strip() not in services or service.strip() in found or not all(map(_is_callable, pairs)):
            raise ImproperlyConfigured(
                f"{name} has the part {part[:80]!r}: it wants service=host:port,host:port;service=… with each "
                f"service ({', '.join(services)}) once, addresses that can be called, an IPv6 one in brackets, and "
                "ports from 1 to 65535."
            )
        found[service.strip()] = [(pair["host"].strip("[]"), int(pair["port"])) for pair in pairs if pair]
    if not found:
        raise ImproperlyConfigured(f"{name} names no service: it wants service=host:port,host:port;service=…")
    return found


def endpoints(env: Env, name: str, *, default: list[str]) -> list[str]:
    """A comma-separated list of host:port, an IPv6 address in brackets."""
    found = names(env, name, default=default)
    for endpoint in found:
        if not _is_address(_ADDRESS.fullmatch(endpoint)):
            raise ImproperlyConfigured(
                f"{name} has {endpoint[:80]!r}: it wants host:port,host:port,… without http://, an IPv6 address in "
                "brackets and ports from 1 to 65535."
            )
    return found


def http_server(env: Env, name: str, *, default: str) -> str:
    """The URL of a server, http://host:port or https://host:port; without a port it gets its scheme's own.

    Raises ImproperlyConfigured, never with the URL's text in it, as somebody may have put a password there.
    """
    text: str = env.str(name, default="").strip() or default
    parts = re.fullmatch(r"(?i:(https?)://)([^/@:?#%\[\]\s]+|\[[0-9A-Fa-f:.%]+\])(?::([0-9]{1,5}))?/?", text)
    if parts is None or not is_host(parts[2].strip("[]").partition("%")[0]) or not 0 < int(parts[3] or 1) < 65_536:
        raise ImproperlyConfigured(f"{name} wants http://host:port or https://host:port, with nothing after the port.")
    scheme = parts[1].lower()
    return f"{scheme}://{parts[2]}:{parts[3] or (443 if scheme == 'https' else 80)}"


def _is_address(match: re.Match[str] | None) -> bool:
    return match is not None and 0 < int(match["port"]) < 65_536 and is_host(match["host"].strip("[]"))


def _is_callable(match: re.Match[str] | None) -> bool:
    return match is not None and _is_address(match) and not is_unspecified(match["host"].strip("[]"))


def secret(env: Env, name: str) -> str:
    """What goes into a header of HTTP as it is; empty for none.

    Raises ImproperlyConfigured, never with any of the text in it.
    """
    value: str = env.str(name, default="").strip()
    if not re.fullmatch(r"[!-~]*", value):
        raise ImproperlyConfigured(
            f"{name} has a character that is none of a token's: it wants printable ASCII, without spaces and line ends."
        )
    return value


def topic_name(env: Env, name: str, *, default: str) -> str:
    """A name that Kafka takes for a topic; with an empty default nothing is one, too: there is no such topic."""
    value: str = env.str(name, default=default)
    if not (value or default):
        return ""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", value) or value in {".", ".."}:
        raise ImproperlyConfigured(
            f"{name} is {value!r}: it wants the name of a Kafka topic, 1 to 249 letters, digits, '.', '_' and '-'."
        )
    return value


def group_name(env: Env, name: str, *, default: str) -> str:
    """A consumer group's name: 1 to 255 characters that can be printed."""
    value: str = env.str(name, default=default)
    if not 1 <= len(value) <= 255 or not value.isprintable() or value.isspace():
        raise ImproperlyConfigured(
            f"{name} is {value[:40]!r}: it wants the name of a consumer group, 1 to 255 printable characters."
        )
    return value


def kafka_client_config(env: Env, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """librdkafka's settings: KAFKA_BOOTSTRAP_SERVERS and any KAFKA_CONFIG_<NAME> (SASL_MECHANISM is sasl.mechanism).

    Other KAFKA_* names are left alone: Kubernetes injects some of them for a service called kafka.
    """
    servers = required(env, "KAFKA_BOOTSTRAP_SERVERS", "host:port of one or more Kafka brokers, comma-separated")
    config = {
        name.removeprefix(_KAFKA_PREFIX).lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(_KAFKA_PREFIX) and name != _KAFKA_PREFIX
    }
    return {"client.id": "movieapp", **config, "bootstrap.servers": servers}

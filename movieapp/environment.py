"""Reads one variable of the environment at a time and refuses what it cannot use, naming the variable."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
_POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})
_KAFKA_PREFIX = "KAFKA_CONFIG_"


def required(env: Env, name: str, wants: str) -> str:
    """The variable's text. Raises ImproperlyConfigured, with what it wants, when it is unset or empty."""
    value: str = env.str(name, default="").strip()
    if not value:
        raise ImproperlyConfigured(f"Set the environment variable {name}: {wants}.")
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


def whole_number(env: Env, name: str, *, default: int, lowest: int) -> int:
    """A whole number of at least `lowest`."""
    text: str = env.str(name, default=str(default)).strip()
    try:
        value = int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text!r}: it wants a whole number.") from None
    if value < lowest:
        raise ImproperlyConfigured(f"{name} is {value}: it wants at least {lowest}.")
    return value


def one_of(env: Env, name: str, choices: Sequence[str], *, default: str) -> str:
    """One of the choices, whatever the case it is written in."""
    value: str = env.str(name, default=default).strip().upper()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}: it wants one of {', '.join(choices)}.")
    return value


def postgres_connection(env: Env) -> dict[str, Any]:
    """Django's database settings from DATABASE_URL, or from libpq's PG* variables when there is no such URL.

    The URL is libpq's: `postgresql://user:password@host:port/name?sslmode=require`; a host that is a folder
    (percent-encoded, or `?host=/folder`) means a Unix socket.
    """
    url = env.str("DATABASE_URL", default="").strip()
    if url:
        return _from_url(url)
    if not any(env.str(name, default="") for name in ("PGHOST", "PGDATABASE", "PGSERVICE")):
        raise ImproperlyConfigured(
            "Set the environment variable DATABASE_URL: postgresql://user:password@host:port/name "
            "(or libpq's PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE). "
            "`make run` starts a database and does this by itself."
        )
    # libpq reads the rest of PG* (PGHOST, PGPASSWORD, PGSSLMODE, …) by itself.
    return _database(name=env.str("PGDATABASE", default=env.str("PGUSER", default="postgres")))


def _from_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL is not a URL ({error}).") from None
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in _POSTGRES_SCHEMES or not name:
        raise ImproperlyConfigured("DATABASE_URL wants the form postgresql://user:password@host:port/name.")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    # urlsplit lowers the case of a host, which a socket's folder does not survive: it is cut out of the netloc.
    netloc_host = parts.netloc.rpartition("@")[2]
    host = unquote(netloc_host.rpartition(":")[0] if port is not None else netloc_host.removesuffix(":"))
    return _database(
        name=name,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=options.pop("host", host.removeprefix("[").removesuffix("]")),
        port=str(port or ""),
        options=options,
    )


def _database(
    *,
    name: str,
    user: str = "",
    password: str = "",
    host: str = "",
    port: str = "",
    options: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "movieapp", "connect_timeout": "5", **(options or {})},
    }


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

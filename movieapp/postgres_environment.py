"""Reads which Postgres the environment means: DATABASE_URL, else libpq's own PG* variables."""

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env
from psycopg import pq

from movieapp.environment import MAKE_RUN

_SCHEMES = frozenset({"postgres", "postgresql"})
# Django and the address decide these; as options they would contradict it.
_NOT_OPTIONS = frozenset({"client_encoding", "dbname", "replication"})
_WHOLE_NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)
_WORDS = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
# A server that is gone without a word is noticed, also while nothing is asked of it; tcp_user_timeout, in milliseconds,
# is for what was sent and not acknowledged.
_DEFAULTS = {
    "application_name": "movieapp",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_FORM = "DATABASE_URL wants the form postgresql://user:password@host:port/name"
_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>[0-9]{0,5}))?")


def postgres_connection(env: Env) -> dict[str, Any]:
    """Django's database settings from DATABASE_URL, or from libpq's PG* variables when there is no such URL.

    The URL is libpq's: `postgresql://user:password@host:port/name?sslmode=require`. A host that is a folder
    (percent-encoded, or `?host=/folder`) means a Unix socket; `host1:5432,host2:5432` are tried in turn.
    Raises ImproperlyConfigured, never with the URL's text in it, as that may hold a password.
    """
    url = env.str("DATABASE_URL", default="").strip()
    if url:
        return _from_url(url)
    # libpq reads the rest of PG* (PGHOST, PGPASSWORD, PGSSLMODE, …) by itself.
    service = env.str("PGSERVICE", default="").strip()
    if service:
        # Without a name here libpq takes the service's, then PGDATABASE: a name would overrule the service.
        return _database(options={"service": service})
    if any(env.str(name, default="").strip() for name in ("PGHOST", "PGHOSTADDR", "PGDATABASE")):
        return _database(name=env.str("PGDATABASE", default="") or env.str("PGUSER", default="") or "postgres")
    raise ImproperlyConfigured(
        "Set the environment variable DATABASE_URL: postgresql://user:password@host:port/name "
        f"(or libpq's PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, or PGSERVICE). {MAKE_RUN}"
    )


def _from_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
    except ValueError:
        # The error's own text may quote the password.
        raise ImproperlyConfigured(f"DATABASE_URL is not a URL. {_FORM}.") from None
    options = _checked_options(parts.query)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in _SCHEMES or not (name or "service" in options):
        raise ImproperlyConfigured(f"{_FORM}.")
    host, port = _hosts_and_ports(parts)
    return _database(
        name=name,
        user=options.pop("user", unquote(parts.username or "")),
        password=options.pop("password", unquote(parts.password or "")),
        host=options.pop("host", host),
        port=options.pop("port", port),
        options=options,
    )


def _hosts_and_ports(parts: SplitResult) -> tuple[str, str]:
    """Both as libpq wants them, several of them comma-separated."""
    # urlsplit lowers the case of a host, which a socket's folder does not survive, and knows only one: cut out here.
    if "#" in parts.netloc or parts.fragment:
        raise ImproperlyConfigured(_address_refused())
    addresses = [_ADDRESS.fullmatch(text) for text in parts.netloc.rpartition("@")[2].split(",")]
    found = [(match["host"], match["port"] or "") for match in addresses if match is not None]
    if len(found) < len(addresses) or not all(port == "" or 1 <= int(port) <= 65_535 for _, port in found):
        raise ImproperlyConfigured(_address_refused())
    hosts = [unquote(host.removeprefix("[").removesuffix("]")) for host, _ in found]
    if len(found) > 1 and not all(hosts):
        raise ImproperlyConfigured(_address_refused())
    ports = [port for _, port in found]
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _address_refused() -> str:
    return (
        f"DATABASE_URL's host or port cannot be used. {_FORM} (several hosts: host1:5432,host2:5432), with ports from "
        "1 to 65535; characters such as / ? # @ in a password are written percent-encoded, as %2F for /."
    )


def _checked_options(query: str) -> dict[str, str]:
    """The URL's parameters, all of them ones that libpq knows."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = {default.keyword.decode() for default in pq.Conninfo.get_defaults()} - _NOT_OPTIONS
    for name, value in options.items():
        if name not in known:
            raise ImproperlyConfigured(
                f"DATABASE_URL has the parameter {name!r}, which cannot be used there: it wants parameters of libpq, "
                "such as sslmode, sslrootcert, connect_timeout, application_name or target_session_attrs."
            )
        if name in _WHOLE_NUMBERS and not re.fullmatch(r"[0-9]{1,9}", value):
            raise ImproperlyConfigured(f"DATABASE_URL's {name} is {value!r}: it wants a whole number.")
        if name in _WORDS and value not in _WORDS[name]:
            raise ImproperlyConfigured(
                f"DATABASE_URL's {name} is {value!r}: it wants one of {', '.join(_WORDS[name])}."
            )
    return options


def _database(
    *,
    name: str = "",
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
        "OPTIONS": {**_DEFAULTS, **(options or {})},
    }

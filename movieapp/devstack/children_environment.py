"""The environment of our own processes: enough for the settings, nothing of the caller's that would mislead them."""

import os
from collections.abc import Mapping

from movieapp.devstack.layout import STATE_DIR_VARIABLE, StateFolder

# Any of these says which database is meant; the rest of libpq's PG* only says how to reach it.
DATABASE_VARIABLES = ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE")
_LIBPQ_PREFIX = "PG"
_KAFKA_PREFIX = "KAFKA_CONFIG_"
# Topics, groups, what is published, where services are found: every process of the stack has to mean the same.
_SHARED_PREFIXES = ("RATINGS_", "TOPIC_", "DISCOVERY")


def stack_environment(
    state: StateFolder, *, database: Mapping[str, str], bootstrap_servers: str, static_addresses: str
) -> dict[str, str]:
    """What a process needs to join the stack; goes into the running file too. What the caller has set stays.

    `database` is DATABASE_URL, or what `database_of_caller` answers; `static_addresses` is DISCOVERY_STATIC. How to
    reach a Kafka that the caller names is in it, passwords included.
    """
    defaults = {
        "DJANGO_SECRET_KEY": state.secret("django"),
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DJANGO_INSECURE_LOCAL_HTTP": "true",
        "DISCOVERY_STATIC": static_addresses,
    }
    chosen = {name: os.environ.get(name, "").strip() or value for name, value in defaults.items()}
    shared = _SHARED_PREFIXES + ((_KAFKA_PREFIX,) if named_by_caller("KAFKA_BOOTSTRAP_SERVERS") else ())
    callers = {name: value for name, value in os.environ.items() if name.startswith(shared)}
    return {**callers, **chosen, **database, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}


def children_environment(stack: Mapping[str, str], state: StateFolder) -> dict[str, str]:
    """The caller's environment with the stack's in it.

    Where a server is ours, variables that were meant for another one (libpq's PG*, SASL for Kafka) are left out.
    """
    unwanted: tuple[str, ...] = ()
    if not database_of_caller():
        unwanted += (_LIBPQ_PREFIX,)
    if not named_by_caller("KAFKA_BOOTSTRAP_SERVERS"):
        unwanted += (_KAFKA_PREFIX,)
    kept = {name: value for name, value in os.environ.items() if not (unwanted and name.startswith(unwanted))}
    return {**kept, **stack, STATE_DIR_VARIABLE: str(state.root), "PYTHONUNBUFFERED": "1"}


def database_of_caller() -> dict[str, str]:
    """The variables by which the caller's environment names a database; empty when it names none: we start our own."""
    if not names_database(os.environ):
        return {}
    return {name: value for name, value in os.environ.items() if value.strip() and is_for_database(name)}


def names_database(environ: Mapping[str, str]) -> bool:
    """Whether the environment says which database is meant."""
    return any(environ.get(name, "").strip() for name in DATABASE_VARIABLES)


def is_for_database(name: str) -> bool:
    """Whether a variable of this name is one of ours about the database, or one of libpq's."""
    return name in ("DATABASE_URL", "DATABASE_POOLED") or name.startswith(_LIBPQ_PREFIX)


def is_for_kafka(name: str) -> bool:
    """Whether a variable of this name says how to reach the Kafka that KAFKA_BOOTSTRAP_SERVERS names."""
    return name.startswith(_KAFKA_PREFIX)


def named_by_caller(name: str) -> str:
    """The server that the caller's environment names, or an empty text: then we start our own."""
    return os.environ.get(name, "").strip()

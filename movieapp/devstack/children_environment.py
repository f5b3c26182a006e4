"""The environment of our own processes: enough for the settings, nothing of the caller's that would mislead them."""

import os
from collections.abc import Mapping

from movieapp.devstack.layout import STATE_DIR_VARIABLE, StateFolder


def stack_environment(state: StateFolder, *, database_url: str, bootstrap_servers: str) -> dict[str, str]:
    """What a process needs to join the stack; goes into the running file too. What the caller has set stays."""
    defaults = {
        "DJANGO_SECRET_KEY": state.secret("django"),
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DJANGO_INSECURE_LOCAL_HTTP": "true",
    }
    chosen = {name: os.environ.get(name, "").strip() or value for name, value in defaults.items()}
    return {**chosen, "DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}


def children_environment(stack: Mapping[str, str], state: StateFolder) -> dict[str, str]:
    """The caller's environment with the stack's in it.

    Where a server is ours, variables that were meant for another one (libpq's PG*, SASL for Kafka) are left out.
    """
    unwanted: tuple[str, ...] = ()
    if not named_by_caller("DATABASE_URL"):
        unwanted += ("PG",)
    if not named_by_caller("KAFKA_BOOTSTRAP_SERVERS"):
        unwanted += ("KAFKA_CONFIG_",)
    kept = {name: value for name, value in os.environ.items() if not (unwanted and name.startswith(unwanted))}
    return {**kept, **stack, STATE_DIR_VARIABLE: str(state.root), "PYTHONUNBUFFERED": "1"}


def named_by_caller(name: str) -> str:
    """The server that the caller's environment names, or an empty text: then we start our own."""
    return os.environ.get(name, "").strip()

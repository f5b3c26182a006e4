"""The file by which `make run` tells other processes of the same clone how to reach its servers."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.children_environment import is_for_database, is_for_kafka, names_database
from movieapp.devstack.identity import ProcessIdentity, this_process
from movieapp.devstack.layout import StateFolder, default_state_folder, write_private


@dataclass(frozen=True)
class RunningStack:
    """A stack that serves: its supervisor and the environment of its children."""

    supervisor: ProcessIdentity
    environment: Mapping[str, str]
    web: str


def announce(state: StateFolder, *, environment: Mapping[str, str], web: str) -> None:
    """Writes the file, readable by its owner only: it holds passwords. The calling process is the supervisor."""
    me = this_process()
    content = {"pid": me.pid, "started": me.started, "web": web, "environment": dict(environment)}
    write_private(state.running, json.dumps(content, indent=1))


def withdraw(state: StateFolder) -> None:
    """Removes the file; nothing happens when there is none."""
    state.running.unlink(missing_ok=True)


def running_stack(state: StateFolder) -> RunningStack | None:
    """What serves now; None without a file, with a damaged one, or when the process that wrote it is gone."""
    found = _read(state.running)
    return found if found is not None and found.supervisor.is_alive() else None


def join_running_stack(environ: MutableMapping[str, str]) -> None:
    """Fills in from the running stack, if there is one, what the environment does not say itself."""
    stack = running_stack(default_state_folder())
    if stack is None:
        return
    # Mixing another server's variables with the stack's would reach a third one, or show it the stack's passwords.
    other_database = names_database(environ)
    other_kafka = "KAFKA_BOOTSTRAP_SERVERS" in environ
    for name, value in stack.environment.items():
        if not ((other_database and is_for_database(name)) or (other_kafka and is_for_kafka(name))):
            environ.setdefault(name, value)


def _read(path: Path) -> RunningStack | None:
    try:
        content = json.loads(path.read_text())
        environment = {str(name): str(value) for name, value in content["environment"].items()}
        return RunningStack(
            ProcessIdentity(int(content["pid"]), str(content["started"])), environment, str(content["web"])
        )
    except (FileNotFoundError, PermissionError, ValueError, KeyError, TypeError, AttributeError):
        return None

"""Processes that a run of tests has left behind, in whatever session or under whatever parent, known by a mark."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "MOVIEAPP_MUTATIONS_RUN"
"""Children inherit this variable of the environment; a run gives it a value of its own."""

_PATIENCE = 30.0


def end_leftovers(value: str) -> int:
    """SIGKILL to every process whose MARK has this `value`, until there is none; returns how many it were.

    Nobody else is touched. A system without /proc has no leftovers that this could find.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    while found := set(_marked(f"{MARK}={value}".encode())):
        assert time.monotonic() < deadline, f"processes {sorted(found)} do not end"
        ended |= found
        time.sleep(0.02)  # what one of them was just starting is found in the next round
    return len(ended)


def _marked(entry: bytes) -> Iterator[int]:
    """Kills who has the entry in its environment, and tells who that was."""
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with suppress(OSError):  # gone meanwhile, or somebody else's
            handle = os.pidfd_open(pid)
            try:
                # Read after the handle was taken: the id cannot be another process's by now.
                if entry in (folder / "environ").read_bytes().split(b"\0"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    yield pid
            finally:
                os.close(handle)

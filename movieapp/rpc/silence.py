"""Cuts connections: whose database has fallen silent, as no statement would ever be over; that are idle and too old."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import structlog
from psycopg import pq
from psycopg.abc import PQGen

PATIENCE = 7.0
"""Seconds without an answer; a database that lives has ended the statement by its own time-out before."""

IDLE = 10.0
"""Seconds for which nobody has asked anything of a connection that is closed for its age."""

LOOK_EVERY = 0.5
"""Seconds between two looks."""

log = structlog.get_logger(__name__)


class NotingConnection(psycopg.Connection[Any]):
    """Has another object in `asked` for each statement; whoever asks past `wait` sets one."""

    asked: object = None
    kept_until: float | None = None
    """By time.monotonic(): then it is old. None for one that never is."""

    def wait(self, gen: PQGen[Any], *args: Any, **kwargs: Any) -> Any:
        """See psycopg.Connection.wait, by which cursors wait."""
        self.asked = object()
        return super().wait(gen, *args, **kwargs)


class Silences:
    """At how many looks in a row each of some connections waited for the same answer. For one thread.

    Looks are counted and no seconds: a process that was frozen meanwhile has the answer, and has not read it yet.
    """

    def __init__(self) -> None:
        self._waiting: dict[psycopg.Connection[Any], tuple[object, int]] = {}

    def look(self, connections: Sequence[psycopg.Connection[Any]]) -> Sequence[psycopg.Connection[Any]]:
        """Those that have waited too long."""
        before, self._waiting = self._waiting, {}
        for raw in connections:
            if raw.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                asked = getattr(raw, "asked", None)
                known, looks = before.get(raw, (asked, 0))
                self._waiting[raw] = (asked, looks + 1 if known is asked else 1)
        return [raw for raw, (_, looks) in self._waiting.items() if looks * LOOK_EVERY > PATIENCE]


class Idlers:
    """Which of some connections nobody has asked anything for so long, and are old enough. For one thread.

    Whoever asks something of an old one closes it first, so that nobody is about to.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._idle: dict[psycopg.Connection[Any], tuple[object, float]] = {}

    def look(self, connections: Sequence[psycopg.Connection[Any]]) -> Sequence[psycopg.Connection[Any]]:
        """Those that are to be cut; each is named once."""
        now, before, self._idle = self._clock(), self._idle, {}
        for raw in connections:
            kept_until = getattr(raw, "kept_until", None)
            if kept_until is None or now < kept_until or raw.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                continue
            asked = getattr(raw, "asked", None)
            known, since = before.get(raw, (asked, now))
            self._idle[raw] = (asked, since if known is asked else now)
        found = [raw for raw, (_, since) in self._idle.items() if now - since >= IDLE]
        for raw in found:
            raw.kept_until = None  # type: ignore[attr-defined]
        return found


@contextmanager
def silent_ones_cut(connections: Callable[[], Sequence[psycopg.Connection[Any]]]) -> Iterator[None]:
    """Looks at the connections inside the block, cuts those whose database has fallen silent, and those that idle."""
    ends, silences, idlers = threading.Event(), Silences(), Idlers()

    def look_on() -> None:
        while not ends.wait(LOOK_EVERY):
            for raw in silences.look(connections()):
                log.error("database_silent", seconds=PATIENCE)
                cut(raw)
            for raw in idlers.look(connections()):
                cut(raw)

    looking = threading.Thread(target=look_on, name="grpc-silences", daemon=True)
    looking.start()
    try:
        yield
    finally:
        ends.set()
        looking.join()


def cut(raw: psycopg.Connection[Any]) -> None:
    """Ends whatever its thread waits for from the database: the statement fails at once. For any thread."""
    # Not closed here: only the thread that waits may do that, and it may just be doing so.
    with suppress(OSError, psycopg.Error):
        descriptor = raw.fileno()
        with socket.socket(fileno=os.dup(descriptor)) as duplicate:
            if raw.fileno() == descriptor:  # else the number was another one's by then
                duplicate.shutdown(socket.SHUT_RDWR)

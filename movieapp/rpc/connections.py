"""The database connections of a server's threads: kept between calls, checked for nothing, and closed at the end."""

import random
import select
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from movieapp.rpc.silence import NotingConnection, cut, silent_ones_cut

# No call keeps its thread much longer than its caller waits.
_SESSION = "SELECT set_config('statement_timeout', '5s', false), set_config('lock_timeout', '2s', false)"
# Only statements that say so are prepared: this many times no other one is repeated.
_NEVER_BY_ITSELF = 2**31 - 1


class ServerConnections:
    """Django's connections in the threads that called `adopt_thread`, with the server's settings inside the block.

    One that waits longer than the database lets any statement take is cut: its host is gone without a word. So is one
    that nobody asks anything, once it is as old as they get: its thread may have no call for hours. The block's end
    closes them all: by then none of the threads may be at work.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._adopted: set[BaseDatabaseWrapper] = set()
        self._looking = ExitStack()

    def __enter__(self) -> "ServerConnections":
        connection_created.connect(self._begin, weak=False, dispatch_uid=id(self))
        self._looking.enter_context(silent_ones_cut(self._open))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection_created.disconnect(dispatch_uid=id(self))
        self._looking.close()
        with self._lock:
            adopted, self._adopted = self._adopted, set()
        for connection in adopted:
            connection.inc_thread_sharing()
            connection.close()

    def adopt_thread(self) -> None:
        """Says that the connections of the calling thread are the server's."""
        self._thread.is_ours = True
        with self._lock:
            self._adopted.add(connections["default"])

    def tidy(self) -> bool:
        """Closes this thread's connection if it is dead, failed or old; True where one stands that has served before.

        Django itself would ask the server before each call. A connection that is readable while nobody has asked it
        anything tells of its end.
        """
        connection = connections["default"]
        raw = connection.connection
        if raw is None:
            return False
        is_old = connection.close_at is not None and time.monotonic() >= connection.close_at
        if is_old or connection.errors_occurred or raw.closed or _is_readable(raw.fileno()):
            connection.close()
            return False
        raw.asked = object()
        return True

    def close(self) -> None:
        """Closes this thread's connection, if it has one."""
        connections["default"].close()

    def cut(self) -> None:
        """Ends whatever the threads still wait for from the database: their statements fail at once. For any thread."""
        for raw in self._open():
            cut(raw)

    def is_lost(self) -> bool:
        """Whether this thread's connection is gone, so that a read that has just failed may be tried on a new one."""
        raw = connections["default"].connection
        return raw is None or bool(raw.closed)

    def _open(self) -> list[psycopg.Connection[Any]]:
        with self._lock:
            adopted = list(self._adopted)
        found = (connection.connection for connection in adopted)
        return [raw for raw in found if raw is not None and not raw.closed]

    def _begin(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if not getattr(self._thread, "is_ours", False):
            return
        if connection.close_at is not None:  # not all at once, as they were opened
            connection.close_at -= (connection.close_at - time.monotonic()) * random.uniform(0.0, 0.3)
        connection.connection.__class__ = NotingConnection
        connection.connection.kept_until = connection.close_at
        if settings.DATABASE_POOLED:
            return  # the session is not ours to change, and the next statement may be in another one
        connection.connection.prepare_threshold = _NEVER_BY_ITSELF
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

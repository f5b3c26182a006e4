"""One connection to Postgres that is made anew after it broke; the database's own troubles become ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from workers.database import PatientConnection, connect
from workers.ingestion.errors import StoreUnavailable
from workers.ingestion.postgres_errors import named_troubles


class Session:
    """For one thread at a time. `on_connect` is called before each new connection is made."""

    def __init__(self, *, on_connect: Callable[[], None] = lambda: None) -> None:
        self.connects = 0
        """How many connections there have been: another number means maybe another database, or an older state."""
        self._on_connect = on_connect
        self._connection: PatientConnection | None = None
        self._is_ending = False

    @contextmanager
    def cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor on a living connection. Raises StoreUnavailable or StoreNotReady and lets the connection go."""
        with named_troubles(has_connected=lambda: self.connects > 0):
            try:
                with psycopg.Cursor(self._connection or self._connect()) as cursor:
                    yield cursor
            except psycopg.Error:
                self.close()
                raise

    def silent_for(self) -> float:
        """Seconds that the statement in hand has waited for its answer; 0 without one. For any thread."""
        connection = self._connection
        return 0.0 if connection is None else connection.silent_for()

    def end_within(self, seconds: float) -> None:
        """What is in hand has that long; no connection is made any more. For any thread."""
        self._is_ending = True
        connection = self._connection
        if connection is not None:
            connection.end_within(seconds)

    def check_wanted(self) -> None:
        """For whatever goes on for long between two statements. Raises StoreUnavailable once it is to end."""
        if self._is_ending:
            raise StoreUnavailable("the process ends, and looks no further")

    def close(self) -> None:
        """Closes the connection; an open transaction is rolled back, and the next call connects anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> PatientConnection:
        if not self._is_ending:
            self._on_connect()
            self._connection = connect()
            self.connects += 1
        if self._is_ending or self._connection is None:  # also when that was said while it connected
            raise StoreUnavailable("the process ends, and connects no more")
        return self._connection

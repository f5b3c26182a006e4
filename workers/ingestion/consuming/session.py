"""One connection to Postgres that is made anew after it broke; the database's own troubles become ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from workers.ingestion.consuming.database import connect
from workers.ingestion.postgres_errors import store_error


class Session:
    """For one thread at a time. `on_connect` is called before each new connection is made."""

    def __init__(self, *, on_connect: Callable[[], None] = lambda: None) -> None:
        self.connects = 0
        """How many connections there have been: another number means maybe another database, or an older state."""
        self._on_connect = on_connect
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    @contextmanager
    def cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor on a living connection. Raises StoreUnavailable or StoreNotReady and lets the connection go."""
        try:
            if self._connection is None:
                self._on_connect()
                self._connection = connect()
                self.connects += 1
            with psycopg.Cursor(self._connection) as cursor:
                yield cursor
        except psycopg.Error as error:
            self.close()
            told = store_error(error, has_connected=self.connects > 0)
            if told is None:
                raise
            raise told from error

    def close(self) -> None:
        """Closes the connection; an open transaction is rolled back, and the next call connects anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

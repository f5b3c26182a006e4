"""Writers of ratings beside each other: one call's own connection, work in a thread, work that is held up by a lock."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections

from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.services import Written, rating_writes, ratings_write
from tests.rating_tables import own_connection, wait_until_someone_waits_for

T = 1_600_000_000_000_000


def event(tenths: int | None, *, record: str = "1", user: str = "ann", provider: str = "") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, tenths)


def write(events: Sequence[RatingEvent], times: Sequence[int], interner: Interner | None = None) -> Written:
    with own_connection() as connection, connection.cursor() as cursor:
        writes = rating_writes(cursor, interner or Interner(), events, times)
        with connection.transaction():
            return ratings_write(cursor, writes)


@contextmanager
def in_a_thread(work: Callable[[], object]) -> Iterator[None]:
    """Runs `work` beside the block; after the block it must end within seconds, and without an error."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # handed to the test
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert errors == []


@contextmanager
def held_up(
    watcher: psycopg.Connection[Any], holder: psycopg.Connection[Any], work: Callable[[], object]
) -> Iterator[None]:
    """Runs `work`, which must wait for a lock of `holder`'s transaction, beside the block; then commits that one."""
    with in_a_thread(work):
        try:
            wait_until_someone_waits_for(watcher, holder.info.backend_pid)
            yield
        finally:
            holder.commit()


def with_another_connection(work: Callable[[], object]) -> None:
    """Runs `work` on a connection of its own, from begin to end."""
    with in_a_thread(work):
        pass

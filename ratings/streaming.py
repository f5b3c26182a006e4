"""A stream of rating events on its way into the database: written batch by batch, with what was rejected and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError, OperationalError, close_old_connections, connection

from ratings.errors import InvalidRating
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.refusals import is_refusal, refusal_words
from ratings.services import ratings_write_now

# Enough for a stream that stays with some records and some raters, and little beside hundreds of streams.
_REMEMBERED = 5_000
# A lock that somebody held for too long, a deadlock: nothing was written, and the next attempt may find it free.
_HELD_UP = frozenset({"55P03", "40P01"})
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event of which nothing was written. `index` counts from the stream's first event, which is 0.

    `field` is empty where it is the whole event. `reason` never repeats what the database said: that may quote a row.
    """

    index: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class BatchWritten:
    """How many events of the stream are dealt with, each committed or rejected; those of this batch that were not."""

    received: int
    rejected: Sequence[Rejected]


class RatingStream:
    """The events of one stream, as of when they are written, on the thread's database connection. Not thread-safe."""

    def __init__(self) -> None:
        self._interner = Interner(capacity=_REMEMBERED)
        self._received = 0
        self._session: object = None

    def write(self, events: Sequence[RatingEvent | InvalidRating]) -> BatchWritten:
        """Writes the next events in their order; committed when it returns. Those that are not valid are rejected.

        What a rule of the database refuses is rejected too, by itself: everything else is written, then in several
        transactions. Raises django.db.Error when the database does not answer: part of the batch may be committed.
        """
        rejected, accepted = [], []
        for index, event in enumerate(events, self._received):
            if isinstance(event, InvalidRating):
                rejected.append(Rejected(index, event.field, event.reason))
            else:
                accepted.append((index, event))
        if accepted:
            self._begin()
            rejected += self._refused(accepted)
        self._received += len(events)
        return BatchWritten(received=self._received, rejected=sorted(rejected, key=lambda one: one.index))

    def _begin(self) -> None:
        """A connection that lives. A new one may be to a database that was restored: numbers may mean others there."""
        close_old_connections()
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        if connection.connection is not self._session:
            self._session = connection.connection
            self._interner.forget()

    def _refused(self, events: Sequence[tuple[int, RatingEvent]]) -> list[Rejected]:
        """Writes the events, and finds what the database refuses by halving what it refuses: order is kept."""
        try:
            self._write([event for _, event in events])
        except DatabaseError as error:
            reason = _refusal(error)
            if reason is None:
                raise
        else:
            return []
        if len(events) == 1:
            return [Rejected(events[0][0], "", reason)]
        middle = len(events) // 2
        return self._refused(events[:middle]) + self._refused(events[middle:])

    def _write(self, events: Sequence[RatingEvent]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                ratings_write_now(events, interner=self._interner)
            except OperationalError as error:
                if attempt == _ATTEMPTS or _sqlstate(error) not in _HELD_UP:
                    raise
            else:
                return


def _sqlstate(error: DatabaseError) -> str:
    return error.__cause__.sqlstate or "" if isinstance(error.__cause__, psycopg.Error) else ""


def _refusal(error: DatabaseError) -> str | None:
    """What the database has against a row; None for a trouble of its own."""
    cause = error.__cause__
    return refusal_words(cause) if isinstance(cause, psycopg.Error) and is_refusal(cause) else None

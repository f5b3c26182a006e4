"""Writing a batch of which Postgres refuses something: trials that leave nothing behind tell which events it is."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import psycopg
import structlog

from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.services import RatingWrites, rating_writes, ratings_write
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.consuming.poison import find_refused, set_aside
from workers.ingestion.postgres_errors import Refusal, refusal_of

log = structlog.get_logger(__name__)

_Attempt = Callable[[Sequence[RatingEvent], Sequence[int]], object]


class Sifter:
    """For one batch, over the caller's cursor: first `interned`, then, in the transaction, `accepted` and `writes`.

    The first two raise TooManyDeadLetters once more events are refused than is allowed, and psycopg.Error for
    whatever is not about an event.
    """

    def __init__(self, cursor: psycopg.Cursor[Any], allowance: Allowance) -> None:
        self._cursor = cursor
        self._allowance = allowance
        self._interner = Interner()

    def interned(self, batch: Batch) -> Batch:
        """The batch with those events as dead letters whose ids are refused; the others' ids are interned.

        For use outside of a transaction, as interning always is.
        """
        return self._sifted(batch, self._writes_of)

    def accepted(self, batch: Batch) -> Batch:
        """What `interned` has left, with those events as dead letters that are refused as ratings.

        For use inside the transaction that then writes it: each trial is rolled back to where it began, so that its
        locks are gone before the next one takes its own.
        """
        return self._sifted(batch, self._write_and_undo)

    def writes(self, batch: Batch) -> RatingWrites:
        """What is left to write."""
        return self._writes_of(_events(batch), _times(batch))

    def _writes_of(self, events: Sequence[RatingEvent], times: Sequence[int]) -> RatingWrites:
        # Once a batch is interned its ids are remembered: no statement is sent for any part of it.
        return rating_writes(self._cursor, self._interner, events, times)

    def _write_and_undo(self, events: Sequence[RatingEvent], times: Sequence[int]) -> None:
        writes = self._writes_of(events, times)
        with self._cursor.connection.transaction(force_rollback=True):
            ratings_write(self._cursor, writes)
            self._cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what would only be refused at the commit

    def _sifted(self, batch: Batch, attempt: _Attempt) -> Batch:
        events, times = _events(batch), _times(batch)

        def trial(numbers: Sequence[int]) -> Refusal | None:
            try:
                attempt([events[number] for number in numbers], [times[number] for number in numbers])
            except psycopg.Error as error:
                refusal = refusal_of(error)
                if refusal is None:
                    raise
                return refusal
            return None

        refused = find_refused(len(events), trial, most=self._allowance.most - batch.letters)
        left = set_aside(batch, refused)
        self._allowance.check(left)
        if refused:
            reasons = {refusal.reason for refusal in refused.values()}
            log.warning("refused_by_database", events=len(refused), reasons=sorted(reasons)[:5])
        return left


def _events(batch: Batch) -> list[RatingEvent]:
    return list(chain.from_iterable(part.events for part in batch))


def _times(batch: Batch) -> list[int]:
    return list(chain.from_iterable(part.times for part in batch))

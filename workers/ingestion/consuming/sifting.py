"""Writing a batch of which Postgres refuses something: trials that leave nothing behind tell which events it is."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import psycopg
import structlog

from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.services import RatingWrites, rating_writes, ratings_write
from ratings.suspects import suspected_raters, suspected_records, suspected_writes
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.consuming.poison import find_refused, set_aside
from workers.ingestion.postgres_errors import Refusal, refusal_of

log = structlog.get_logger(__name__)

_LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of a batch's events and their times, in order."""

    events: Sequence[RatingEvent]
    times: Sequence[int]

    def only(self, places: Sequence[int]) -> "_Part":
        return _Part([self.events[place] for place in places], [self.times[place] for place in places])


@dataclass(slots=True)
class _Tried:
    """What needs not be tried alone again."""

    records: set[tuple[str, str]] = field(default_factory=set)
    raters: set[tuple[str, str]] = field(default_factory=set)
    ratings: set[tuple[int, int]] = field(default_factory=set)


class Sifter:
    """For one batch, over the caller's cursor, outside of a transaction: first `interned`, then `accepted`.

    Each trial is a transaction of its own that is rolled back: a search takes as long as it takes, and holds no lock
    from one trial to the next. About once a second it calls `go_on`, which raises what is to end it. Both raise
    TooManyDeadLetters once more events are refused than is allowed, and psycopg.Error for whatever is not about an
    event.
    """

    def __init__(self, cursor: psycopg.Cursor[Any], allowance: Allowance, *, go_on: Callable[[], None]) -> None:
        self._cursor = cursor
        self._allowance = allowance
        self._go_on = go_on
        self._looked_at = -_LOOK_EVERY
        self._interner = Interner()
        self._tried = _Tried()

    def interned(self, batch: Batch) -> Batch:
        """The batch with those events as dead letters whose ids are refused; the others' ids are interned."""
        return self._sifted(batch, self._writes_of, self._suspected_ids)

    def accepted(self, batch: Batch) -> Batch:
        """What `interned` has left, with those events as dead letters that are refused as ratings."""
        return self._sifted(batch, self._write_and_undo, self._suspected_ratings)

    def writes(self, batch: Batch) -> RatingWrites:
        """What is left to write; no statement is sent for it."""
        return self._writes_of(_whole(batch))

    def _writes_of(self, part: _Part) -> RatingWrites:
        # Once a batch is interned its ids are remembered: no statement is sent for any part of it.
        return rating_writes(self._cursor, self._interner, part.events, part.times)

    def _write_and_undo(self, part: _Part) -> None:
        writes = self._writes_of(part)
        with self._cursor.connection.transaction(force_rollback=True):
            ratings_write(self._cursor, writes)
            self._cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what would only be refused at the commit

    def _suspected_ids(self, part: _Part) -> list[int]:
        records = [(event.record_type, event.record_id) for event in part.events]
        raters = [(event.provider_id, event.user_id) for event in part.events]
        new_records, new_raters = sorted(set(records) - self._tried.records), sorted(set(raters) - self._tried.raters)
        self._tried.records.update(new_records)
        self._tried.raters.update(new_raters)
        bad_records = {new_records[place] for place in suspected_records(self._cursor, new_records, go_on=self._look)}
        bad_raters = {new_raters[place] for place in suspected_raters(self._cursor, new_raters, go_on=self._look)}
        pairs = enumerate(zip(records, raters, strict=True))
        return [place for place, (record, rater) in pairs if record in bad_records or rater in bad_raters]

    def _suspected_ratings(self, part: _Part) -> list[int]:
        """Of several for one rating the one that would be written; what it hides is looked at once it is gone."""
        writes = self._writes_of(part)
        keys = list(zip(writes.ids.tolist(), writes.times.tolist(), strict=True))
        untried = np.fromiter((key not in self._tried.ratings for key in keys), dtype=np.bool_, count=len(keys))
        self._tried.ratings.update(keys)
        left = RatingWrites(writes.ids[untried], writes.values[untried], writes.times[untried], writes.generation)
        ids = self._interner.intern(self._cursor, part.events).tolist()
        place_of = {key: place for place, key in enumerate(zip(ids, part.times, strict=True))}  # the last of equals
        suspects = suspected_writes(self._cursor, left, go_on=self._look)
        return sorted(place_of[int(left.ids[place]), int(left.times[place])] for place in suspects)

    def _sifted(
        self, batch: Batch, attempt: Callable[[_Part], object], suspected: Callable[[_Part], list[int]]
    ) -> Batch:
        whole = _whole(batch)

        def trial(numbers: Sequence[int]) -> Refusal | None:
            self._look()
            try:
                attempt(whole.only(numbers))
            except psycopg.Error as error:
                refusal = refusal_of(error)
                if refusal is None:
                    raise
                return refusal
            return None

        def suspects(numbers: Sequence[int]) -> list[int]:
            return [numbers[place] for place in suspected(whole.only(numbers))]

        most = self._allowance.most - batch.letters
        refused = find_refused(len(whole.events), trial, most=most, suspects=suspects)
        left = set_aside(batch, refused)
        self._allowance.check(left)
        if refused:
            reasons = {refusal.reason for refusal in refused.values()}
            log.warning("refused_by_database", events=len(refused), reasons=sorted(reasons)[:5])
        return left

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._go_on()


def _whole(batch: Batch) -> _Part:
    return _Part(
        list(chain.from_iterable(part.events for part in batch)),
        list(chain.from_iterable(part.times for part in batch)),
    )

"""Text ids to small numbers and back to nobody: records and raters get their number once and keep it.

Numbers are looked up first and only missing ones inserted, in sorted order, one autocommitted statement each: an
INSERT … ON CONFLICT alone burns an identity value for every id that is there already. Never call `intern` inside the
transaction that writes ratings: its rows would stay locked until that transaction ends.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter, getitem, itemgetter
from typing import Any

import numpy as np
import psycopg

from ratings.columns import Int64s, Texts, execute
from ratings.events import RatingEvent

RATER_BITS = 32
"""A rating's key is its record's number shifted by this many bits, or its rater's number."""

_Key = tuple[str, str]
_first_of, _second_of = itemgetter(0), itemgetter(1)

_FIND_RECORDS = """
SELECT wanted.position, found.id
FROM unnest(%(first)s, %(second)s) WITH ORDINALITY AS wanted (type, external_id, position)
CROSS JOIN LATERAL (
    SELECT id FROM ratings_record WHERE type = wanted.type AND external_id = wanted.external_id LIMIT 1
) AS found
"""
# Numbers are given in the order of the rows, so that sorted ones tell which is whose without the texts coming back.
# The aggregate is made with its record, so that every writer finds one to update.
_ADD_RECORDS = """
WITH added AS (
    INSERT INTO ratings_record (type, external_id)
    SELECT type, external_id
    FROM unnest(%(first)s, %(second)s) WITH ORDINALITY AS missing (type, external_id, position)
    ORDER BY position
    ON CONFLICT (type, external_id) DO NOTHING
    RETURNING id
), aggregates AS (
    INSERT INTO ratings_recordaggregate (record_id) SELECT id FROM added
)
SELECT id FROM added
"""
_FIND_RATERS = """
SELECT wanted.position, found.id
FROM unnest(%(first)s, %(second)s) WITH ORDINALITY AS wanted (provider_id, user_id, position)
CROSS JOIN LATERAL (
    SELECT id FROM ratings_rater WHERE provider_id = wanted.provider_id AND user_id = wanted.user_id LIMIT 1
) AS found
"""
_ADD_RATERS = """
INSERT INTO ratings_rater (provider_id, user_id)
SELECT provider_id, user_id
FROM unnest(%(first)s, %(second)s) WITH ORDINALITY AS missing (provider_id, user_id, position)
ORDER BY position
ON CONFLICT (provider_id, user_id) DO NOTHING
RETURNING id
"""

_UNKNOWN = 0  # nobody's number: the sequences begin at 1


class Interner:
    """Finds or makes the numbers of records and raters, and remembers up to `capacity` of each (or one batch's).

    Not thread-safe. Forget everything after a lost connection (the database may have been restored) and whenever a
    write reports stale ids.
    """

    def __init__(self, *, capacity: int = 500_000) -> None:
        self._generation: int | None = None
        self._records = _Numbered("record_type", "record_id", find=_FIND_RECORDS, add=_ADD_RECORDS, capacity=capacity)
        self._raters = _Numbered("provider_id", "user_id", find=_FIND_RATERS, add=_ADD_RATERS, capacity=capacity)

    @property
    def generation(self) -> int:
        """The generation of erasures at which the ids were looked up; 0 before the first look-up."""
        return self._generation or 0

    def forget(self) -> None:
        """Drops all that was remembered."""
        self._generation = None
        self._records.forget()
        self._raters.forget()

    def intern(self, cursor: psycopg.Cursor[Any], events: Sequence[RatingEvent]) -> Int64s:
        """The key of each event's rating, in the events' order; `generation` says until when the keys hold."""
        if self._generation is None:
            # Read before any number is: an erasure that comes between makes the numbers look stale, never fresh.
            row = cursor.execute("SELECT generation FROM ratings_interning").fetchone()
            self._generation = row[0] if row else 0
        return (self._records.numbers(cursor, events) << RATER_BITS) | self._raters.numbers(cursor, events)


class _Numbers(dict[str, int]):
    """Numbers by the second text of a key."""

    def __missing__(self, second: str) -> int:
        return _UNKNOWN


class _NumbersByFirst(dict[str, _Numbers]):
    """Two levels, as a text is hashed and compared faster than a pair of texts that has to be made first."""

    def __missing__(self, first: str) -> _Numbers:
        return _NOBODY


_NOBODY = _Numbers()


class _Numbered:
    """One table of numbered ids, each two fields of an event, and what is remembered of it."""

    def __init__(self, first: str, second: str, *, find: str, add: str, capacity: int) -> None:
        self.remembered = 0
        self._first = attrgetter(first)
        self._second = attrgetter(second)
        self._find = find
        self._add = add
        self._capacity = capacity
        self._known = _NumbersByFirst()

    def forget(self) -> None:
        self._known.clear()
        self.remembered = 0

    def numbers(self, cursor: psycopg.Cursor[Any], events: Sequence[RatingEvent]) -> Int64s:
        """The numbers of the events' ids, in the events' order; ids that are new get one now."""
        numbers = self._look_up(events)
        unknown = np.flatnonzero(numbers == _UNKNOWN)
        if len(unknown):
            strangers = [events[place] for place in unknown.tolist()]
            self._learn(cursor, self._sorted_keys(strangers))
            numbers[unknown] = self._look_up(strangers)
        return numbers

    def _look_up(self, events: Sequence[RatingEvent]) -> Int64s:
        """In one pass and without a line of Python per event: what it costs is waiting for memory."""
        known_by_first = map(self._known.__getitem__, map(self._first, events))
        return np.fromiter(map(getitem, known_by_first, map(self._second, events)), dtype=np.int64, count=len(events))

    def _sorted_keys(self, events: Sequence[RatingEvent]) -> list[_Key]:
        """Each key once. The second texts are sorted by themselves: pairs are compared several times slower."""
        seconds: dict[str, set[str]] = {}
        for first, same in groupby(zip(map(self._first, events), map(self._second, events), strict=True), _first_of):
            seconds.setdefault(first, set()).update(map(_second_of, same))
        return [(first, second) for first in sorted(seconds) for second in sorted(seconds[first])]

    def _learn(self, cursor: psycopg.Cursor[Any], missing: list[_Key]) -> None:
        if self.remembered + len(missing) > self._capacity:
            self.forget()
        while missing:  # once, unless another writer adds some of them first
            found = execute(cursor, self._find, _columns(missing)).fetchall()
            if found:
                self._remember([missing[position - 1] for position, _ in found], map(_second_of, found))
                missing = [key for key in missing if self._known[key[0]][key[1]] == _UNKNOWN]
            if missing:
                added = sorted(number for (number,) in execute(cursor, self._add, _columns(missing)))
                if len(added) == len(missing):
                    self._remember(missing, added)
                    return

    def _remember(self, keys: Sequence[_Key], numbers: Iterable[int]) -> None:
        """One number for each key, in the keys' order; fastest where keys of one first text stand together."""
        numbers = iter(numbers)
        for first, same in groupby(keys, _first_of):
            if first not in self._known:
                self._known[first] = _Numbers()
            self._known[first].update(zip(map(_second_of, same), numbers, strict=False))
        self.remembered += len(keys)


def _columns(keys: Sequence[_Key]) -> dict[str, object]:
    return {"first": Texts([key[0] for key in keys]), "second": Texts([key[1] for key in keys])}

"""Text ids to small numbers and back to nobody: records and raters get their number once and keep it.

Numbers are looked up first and only missing ones inserted, in sorted order, one autocommitted statement each: an
INSERT … ON CONFLICT alone burns an identity value for every id that is there already. Never call `intern` inside the
transaction that writes ratings: its rows would stay locked until that transaction ends.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg

from ratings.columns import Int64s, Texts, execute
from ratings.events import RatingEvent

RATER_BITS = 32
"""A rating's key is its record's number shifted by this many bits, or its rater's number."""

_Key = tuple[str, str]

_FIND_RECORDS = """
SELECT wanted.position, found.id
FROM unnest(%(first)s, %(second)s) WITH ORDINALITY AS wanted (type, external_id, position)
CROSS JOIN LATERAL (
    SELECT id FROM ratings_record WHERE type = wanted.type AND external_id = wanted.external_id LIMIT 1
) AS found
"""
# The aggregate is made with its record, so that every writer finds one to update.
_ADD_RECORDS = """
WITH added AS (
    INSERT INTO ratings_record (type, external_id)
    SELECT type, external_id FROM unnest(%(first)s, %(second)s) AS missing (type, external_id)
    ORDER BY type COLLATE "C", external_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING id, type, external_id
), aggregates AS (
    INSERT INTO ratings_recordaggregate (record_id) SELECT id FROM added
)
SELECT id, type, external_id FROM added
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
SELECT provider_id, user_id FROM unnest(%(first)s, %(second)s) AS missing (provider_id, user_id)
ORDER BY provider_id COLLATE "C", user_id COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING id, provider_id, user_id
"""


class Interner:
    """Finds or makes the numbers of records and raters, and remembers up to `capacity` of each (or one batch's).

    Not thread-safe. Forget everything after a lost connection (the database may have been restored) and whenever a
    write reports stale ids.
    """

    def __init__(self, *, capacity: int = 200_000) -> None:
        self.capacity = capacity
        self._generation: int | None = None
        self._records: dict[_Key, int] = {}
        self._raters: dict[_Key, int] = {}

    @property
    def generation(self) -> int:
        """The generation of erasures at which the ids were looked up; 0 before the first look-up."""
        return self._generation or 0

    def forget(self) -> None:
        """Drops all that was remembered."""
        self._generation = None
        self._records.clear()
        self._raters.clear()

    def intern(self, cursor: psycopg.Cursor[Any], events: Sequence[RatingEvent]) -> Int64s:
        """The key of each event's rating, in the events' order; `generation` says until when the keys hold."""
        if self._generation is None:
            # Read before any number is: an erasure that comes between makes the numbers look stale, never fresh.
            row = cursor.execute("SELECT generation FROM ratings_interning").fetchone()
            self._generation = row[0] if row else 0
        try:
            return self._keys(events)
        except KeyError:  # not every id is known yet
            records = [(event.record_type, event.record_id) for event in events]
            raters = [(event.provider_id, event.user_id) for event in events]
            self._learn(cursor, self._records, records, find=_FIND_RECORDS, add=_ADD_RECORDS)
            self._learn(cursor, self._raters, raters, find=_FIND_RATERS, add=_ADD_RATERS)
            return self._keys(events)

    def _keys(self, events: Sequence[RatingEvent]) -> Int64s:
        records, raters = self._records, self._raters
        record_numbers = np.fromiter(
            (records[event.record_type, event.record_id] for event in events), dtype=np.int64, count=len(events)
        )
        rater_numbers = np.fromiter(
            (raters[event.provider_id, event.user_id] for event in events), dtype=np.int64, count=len(events)
        )
        return (record_numbers << RATER_BITS) | rater_numbers

    def _learn(
        self, cursor: psycopg.Cursor[Any], known: dict[_Key, int], keys: Sequence[_Key], *, find: str, add: str
    ) -> None:
        missing = sorted({key for key in keys if key not in known})
        if not missing:
            return
        if len(known) + len(missing) > self.capacity:
            known.clear()
            missing = sorted(set(keys))
        while True:  # once, unless another writer adds some of them first
            self._find(cursor, known, missing, find)
            missing = [key for key in missing if key not in known]
            if not missing:
                return
            added = execute(cursor, add, _columns(missing)).fetchall()
            known.update(((first, second), number) for number, first, second in added)
            if len(added) == len(missing):
                return

    @staticmethod
    def _find(cursor: psycopg.Cursor[Any], known: dict[_Key, int], wanted: Sequence[_Key], find: str) -> None:
        for position, number in execute(cursor, find, _columns(wanted)).fetchall():
            known[wanted[position - 1]] = number


def _columns(keys: Sequence[_Key]) -> dict[str, object]:
    return {"first": Texts([key[0] for key in keys]), "second": Texts([key[1] for key in keys])}

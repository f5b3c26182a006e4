"""Batches that were written before: a second group, a position moved back, a restart. They are told by a sample.

A row that ON CONFLICT meets is locked before its time is compared, which is a change of the page and a WAL record for
a write that changes nothing. A look without a lock is cheaper, but one more look-up for a write that is new; so it is
taken only where most of a batch seems to stand already.
"""

from typing import Any

import numpy as np
import psycopg

from ratings.columns import Bigints, Int64s, Timestamps, execute

_SMALLEST_BATCH = 1_000
_SAMPLE = 50

_COUNT_STANDING = """
SELECT count(*) FROM unnest(%(ids)s, %(times)s) AS write (id, written_at)
WHERE (SELECT standing.written_at >= write.written_at FROM ratings_rating AS standing WHERE standing.id = write.id)
"""

# Sound without a lock: what stands only ever becomes newer, but for erasures, which every writer's lock keeps out, and
# purges of tombstones, which may as well have come after this write. A subquery in WHERE and not a join, so that no
# plan changes the order of the rows, which is the order of the locks.
NOT_STANDING = """(
        SELECT id, value, written_at
        FROM unnest(%(ids)s, %(values)s, %(times)s) AS event (id, value, written_at)
        WHERE (
            SELECT standing.written_at > event.written_at
                OR (standing.written_at = event.written_at AND coalesce(standing.value, {tombstone}) = event.value)
            FROM ratings_rating AS standing WHERE standing.id = event.id
        ) IS NOT TRUE
    ) AS write"""
"""The writes without those that what stands is newer than, or equal to, as a table of a FROM list."""


def is_replay(cursor: psycopg.Cursor[Any], *, ids: Int64s, times: Int64s) -> bool:
    """Whether most of the writes meet a rating that is as new as they are; False for less than a thousand writes."""
    if len(ids) < _SMALLEST_BATCH:
        return False
    places = np.linspace(0, len(ids) - 1, _SAMPLE).astype(np.intp)
    sample = {"ids": Bigints(ids[places]), "times": Timestamps(times[places])}
    (standing,) = execute(cursor, _COUNT_STANDING, sample).fetchone() or (0,)
    return bool(standing > _SAMPLE // 2)

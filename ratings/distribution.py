"""How often each value was given to one record, counted when somebody asks, and once for each version of it."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from django.db import connection

from ratings.selectors import Aggregate, aggregate_get

MOST_REMEMBERED = 1_000
"""How many records' distributions a process keeps, each some hundred numbers at most."""

ValueCounts: TypeAlias = Sequence[tuple[int, int]]
"""Each value that there is, in tenths and in their order, and how often it was given."""

# A restored or emptied database may count versions anew; it does not repeat their times.
_Mark: TypeAlias = tuple[int, datetime]

# One statement, so that both parts are of the same moment. A record's ratings stand together by their key.
_COUNT = """
SELECT aggregate.count, aggregate.total, aggregate.version, aggregate.changed_at, counted.values, counted.counts
FROM ratings_record AS record JOIN ratings_recordaggregate AS aggregate ON aggregate.record_id = record.id
CROSS JOIN LATERAL (
    SELECT array_agg(value ORDER BY value) AS values, array_agg(given ORDER BY value) AS counts
    FROM (
        SELECT value, count(*) AS given FROM ratings_rating
        WHERE id >= record.id::bigint << 32 AND id < (record.id::bigint + 1) << 32 AND value IS NOT NULL
        GROUP BY value
    ) AS by_value
) AS counted
WHERE record.type = %(record_type)s AND record.external_id = %(record_id)s AND aggregate.count > 0
"""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A record's aggregate, and the counts that it is made of: both of the same moment."""

    aggregate: Aggregate
    counts: ValueCounts


class _Remembered:
    """The distributions that were asked for last, each with the version that it is of. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, str], tuple[_Mark, ValueCounts]] = OrderedDict()

    def get(self, aggregate: Aggregate) -> ValueCounts | None:
        key = aggregate.record_type, aggregate.record_id
        with self._lock:
            mark, counts = self._counts.get(key, (None, None))
            if mark != (aggregate.version, aggregate.changed_at):
                return None
            self._counts.move_to_end(key)
            return counts

    def put(self, aggregate: Aggregate, counts: ValueCounts) -> None:
        key = aggregate.record_type, aggregate.record_id
        with self._lock:
            self._counts[key] = (aggregate.version, aggregate.changed_at), counts
            self._counts.move_to_end(key)
            while len(self._counts) > MOST_REMEMBERED:
                self._counts.popitem(last=False)


_remembered = _Remembered()


def distribution_get(*, record_type: str, record_id: str) -> Distribution | None:
    """The record's aggregate with its distribution, or None when nobody has rated it (any more).

    One indexed look-up while the record has not changed since it was last counted here; else a pass over its ratings,
    which are next to each other in their index.
    """
    aggregate = aggregate_get(record_type=record_type, record_id=record_id)
    if aggregate is None:
        return None
    counts = _remembered.get(aggregate)
    return _counted(record_type, record_id) if counts is None else Distribution(aggregate, counts)


def _counted(record_type: str, record_id: str) -> Distribution | None:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"record_type": record_type, "record_id": record_id})
        row = cursor.fetchone()
    if row is None:
        return None
    aggregate, counts = Aggregate(record_type, record_id, *row[:4]), tuple(zip(row[4], row[5], strict=True))
    _remembered.put(aggregate, counts)
    return Distribution(aggregate, counts)

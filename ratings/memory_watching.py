"""Aggregates in memory that can be watched, for tests of whoever watches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count

from django.db import OperationalError

from ratings.events import RatingEvent
from ratings.memory import MemoryRatings, RatingKey
from ratings.selectors import Aggregate, RecordKey

_CHANGED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryAggregates:
    """An AggregateReader whose ratings are written by `write_now`. `is_away` makes each look fail. One thread."""

    def __init__(self) -> None:
        self.is_away = False
        self.looks = 0
        self._ratings = MemoryRatings(clock=count(1).__next__)
        self._versions: Counter[RecordKey] = Counter()

    def write_now(self, events: Sequence[RatingEvent]) -> None:
        """As `ratings.services.ratings_write_now`: the version of each record that changes grows by one."""
        before = self._values()
        self._ratings.write_now(events)
        after = self._values()
        self._count_up({key[:2] for key in after if after[key] != before.get(key)})

    def erase(self, *, provider_id: str, user_id: str) -> None:
        """As `ratings.services.rater_erase`."""
        before = self._values()
        self._ratings.erase(provider_id=provider_id, user_id=user_id)
        after = self._values()
        self._count_up({key[:2] for key, tenths in before.items() if key not in after and tenths is not None})

    def changed(self, versions: Mapping[RecordKey, int]) -> Sequence[Aggregate]:
        """See AggregateReader.changed."""
        self.looks += 1
        if self.is_away:
            raise OperationalError("away")
        totals = self._ratings.aggregates()
        return [
            Aggregate(*record, *totals.get(record, (0, 0)), self._versions[record], _CHANGED_AT)
            for record, version in versions.items()
            if self._versions[record] != version
        ]

    def close(self) -> None:
        """See AggregateReader.close."""

    def _values(self) -> dict[RatingKey, int | None]:
        return {key: standing.tenths for key, standing in self._ratings.standing().items()}

    def _count_up(self, records: set[RecordKey]) -> None:
        self._versions.update(records)

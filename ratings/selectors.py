"""Reads of ratings: the aggregate of one record or of many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ratings.models import RecordAggregate


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What all raters together say of one record. `total` is in tenths; `version` only grows."""

    record_type: str
    record_id: str
    count: int
    total: int
    version: int
    changed_at: datetime

    @property
    def average(self) -> float:
        """The mean rating, 0 to 10, rounded once: from the exact sum."""
        return self.total / (10 * self.count)


def aggregate_get(*, record_type: str, record_id: str) -> Aggregate | None:
    """The record's aggregate, or None when nobody has rated it (any more). One indexed look-up."""
    return aggregates_get(record_type=record_type, record_ids=[record_id]).get(record_id)


def aggregates_get(*, record_type: str, record_ids: Sequence[str]) -> dict[str, Aggregate]:
    """The aggregates by record id, in one query; records without a rating are left out."""
    rows = RecordAggregate.objects.filter(
        record__type=record_type, record__external_id__in=record_ids, count__gt=0
    ).values_list("record__external_id", "count", "total", "version", "changed_at")
    return {
        record_id: Aggregate(record_type, record_id, count, total, version, changed_at)
        for record_id, count, total, version, changed_at in rows
    }

"""Reads of ratings: the aggregate of one record or of many, and what is stored about one person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from ratings.models import Rater, RecordAggregate


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


@dataclass(frozen=True, slots=True)
class KnownRater:
    """A user as one provider knows them: how many ratings, and how many tombstones of deleted ones."""

    provider_id: str
    ratings: int
    tombstones: int


def raters_get(*, user_id: str, provider_id: str | None = None) -> list[KnownRater]:
    """What is stored about a user, by provider (all of them for None); empty when nobody knows the user.

    For one provider a look-up by index; for all of them a pass over the raters, a second or so for some millions.
    """
    raters = Rater.objects.filter(user_id=user_id)
    if provider_id is not None:
        raters = raters.filter(provider_id=provider_id)
    counted = raters.annotate(
        standing=Count("ratings__value"), tombstones=Count("ratings", filter=Q(ratings__value=None))
    )
    rows = counted.order_by("provider_id").values_list("provider_id", "standing", "tombstones")
    return [KnownRater(provider, standing, tombstones) for provider, standing, tombstones in rows]

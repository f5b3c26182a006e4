"""The rating tables: interned ids, the ratings themselves, and the aggregate of each record."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ratings.events import MAX_ID_LENGTH, MAX_TENTHS


def _id_field(*, blank: bool = False) -> "models.CharField[str, str]":
    """An id from outside, compared byte by byte: no collation's new version can ever corrupt its index."""
    return models.CharField(max_length=MAX_ID_LENGTH, db_collation="C", blank=blank)


class Record(models.Model):
    """What is rated: a movie, or anything else that has a type and an id. Never deleted."""

    id = models.AutoField(primary_key=True)
    type = _id_field()
    external_id = _id_field()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["type", "external_id"], name="ratings_record_unique")]

    def __str__(self) -> str:
        return f"{self.type}:{self.external_id}"


class Rater(models.Model):
    """Who rated: a user, as one provider knows them. Deleted by `erase_user` only."""

    id = models.AutoField(primary_key=True)
    provider_id = _id_field(blank=True)
    user_id = _id_field()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider_id", "user_id"], name="ratings_rater_unique")]

    def __str__(self) -> str:
        return f"{self.provider_id}:{self.user_id}" if self.provider_id else self.user_id


class Rating(models.Model):
    """One rater's word on one record: a last-writer-wins register.

    `id` is the record's id in the upper and the rater's in the lower 32 bits (docs/decisions/0004-rating-key.md).
    `value` is in tenths; null is a tombstone, left by a delete so that an older put which arrives late stays
    deleted. `previous` is what stood here before the last change: the write path's way to learn the difference.

    The foreign keys have no constraint in the database: at two triggers a row they would cost the write path more
    than they protect (docs/decisions/0005-no-foreign-keys-on-ratings.md). `ratings.services` keeps them true.
    """

    id = models.BigIntegerField(primary_key=True)
    record = models.ForeignKey(Record, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="ratings")
    rater = models.ForeignKey(Rater, models.DO_NOTHING, db_constraint=False, related_name="ratings")
    value = models.SmallIntegerField(null=True)
    previous = models.SmallIntegerField(null=True, editable=False)
    written_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(value__range=(0, MAX_TENTHS)), name="ratings_rating_value_in_tenths"),
        ]

    def __str__(self) -> str:
        return f"{self.record} by {self.rater}"


class RecordAggregate(models.Model):
    """Count and sum of a record's ratings, changed in the transaction that changes the ratings.

    Made together with its record and never deleted; a count of 0 reads as "no rating". `total` is in tenths.
    `version` grows by one with every change.
    """

    record = models.OneToOneField(Record, models.PROTECT, primary_key=True, related_name="aggregate")
    count = models.BigIntegerField(default=0, db_default=0)
    total = models.BigIntegerField(default=0, db_default=0)
    version = models.BigIntegerField(default=0, db_default=0)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(count__gte=0), name="ratings_aggregate_count_not_negative"),
            models.CheckConstraint(
                condition=Q(total__gte=0, total__lte=F("count") * MAX_TENTHS), name="ratings_aggregate_total_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} ratings"


class AggregateChange(models.Model):
    """A record whose aggregate has changed, up to `version`, since it was last published: a work list for publishers.

    Added by the transaction that changes the aggregate, where RATINGS_PUBLISH_AGGREGATES is on; removed by whoever has
    published that version. No constraint holds `record` in the database: it comes from the aggregate itself, and
    neither is ever deleted.
    """

    record = models.OneToOneField(
        Record, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="change"
    )
    version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"record {self.pk} up to version {self.version}"


class Interning(models.Model):
    """A single row whose generation grows whenever a rater's id is erased, so that no process uses it from memory."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    generation = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="ratings_interning_single_row")]

    def __str__(self) -> str:
        return f"generation {self.generation}"

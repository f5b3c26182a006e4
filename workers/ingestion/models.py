"""Where each consumer group stands, and the messages that could not be applied."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workers.ingestion.delivery import Delivery


class ConsumerOffset(models.Model):
    """One group's position in one partition, advanced in the transaction that applies the messages.

    Keyed by the cluster's and the topic's own ids, so that a topic made anew under the same name, or another
    cluster at the same address, never inherits a position. `epoch` grows with each take-over of the partition: a
    writer whose epoch is old writes nothing. `latest_time` is the running maximum of the partition's record times,
    `leader_epoch` that of the last message applied. `delivery` is what its last owner promised; `skipped` counts the
    offsets that at-most-once has passed over without applying what stood there.
    """

    group = models.CharField(max_length=255, db_collation="C")
    cluster_id = models.CharField(max_length=64, db_collation="C")
    topic_id = models.CharField(max_length=64, db_collation="C")
    topic = models.CharField(max_length=255, db_collation="C")
    partition = models.IntegerField()
    next_offset = models.BigIntegerField()
    epoch = models.BigIntegerField(default=0)
    leader_epoch = models.IntegerField(null=True)
    latest_time = models.DateTimeField(null=True)
    delivery = models.CharField(
        max_length=16,
        choices=[(each.value, each.value) for each in Delivery],
        default=Delivery.EXACTLY_ONCE.value,
        db_default=Delivery.EXACTLY_ONCE.value,
    )
    skipped = models.BigIntegerField(default=0, db_default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["group", "cluster_id", "topic_id", "partition"], name="ingestion_offset_unique"
            ),
            models.CheckConstraint(condition=Q(next_offset__gte=0), name="ingestion_offset_not_negative"),
            models.CheckConstraint(
                condition=Q(delivery__in=[each.value for each in Delivery]), name="ingestion_offset_delivery_known"
            ),
            models.CheckConstraint(condition=Q(skipped__gte=0), name="ingestion_offset_skipped_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.topic}[{self.partition}] at {self.next_offset}"


class DeadLetter(models.Model):
    """A message that could not be applied, verbatim, with the reason.

    `timestamp` is the time that the message has among the writes of its rating: Kafka's, as the consumer bounded it.
    `mirrored_at` is when the mirror topic took it; `mirror_refusal` says why Kafka does not take it.
    """

    group = models.CharField(max_length=255, db_collation="C")
    cluster_id = models.CharField(max_length=64, db_collation="C")
    topic_id = models.CharField(max_length=64, db_collation="C")
    topic = models.CharField(max_length=255, db_collation="C")
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    headers = models.JSONField(default=list, help_text="A list of [name, value in base64 or null].")
    timestamp = models.DateTimeField(null=True)
    field = models.CharField(max_length=64, blank=True, default="")
    reason = models.TextField()
    attempts = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    mirrored_at = models.DateTimeField(null=True)
    mirror_refusal = models.TextField(blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["group", "cluster_id", "topic_id", "partition", "offset"], name="ingestion_dead_letter_unique"
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(mirrored_at__isnull=True), name="ingestion_letter_unmirrored")
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

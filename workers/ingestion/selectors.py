"""Reads of where consumer groups stand."""

from django.db.models import Count

from workers.ingestion.models import ConsumerOffset, DeadLetter


def group_positions(*, group: str, cluster_id: str, topic_id: str) -> dict[int, int]:
    """The next offset of each partition that the group has begun, as committed in the database."""
    rows = ConsumerOffset.objects.filter(group=group, cluster_id=cluster_id, topic_id=topic_id)
    return dict(rows.values_list("partition", "next_offset"))


def group_offsets(*, group: str, topic: str) -> list[ConsumerOffset]:
    """The group's rows of every topic that had or has this name, in any cluster, by topic id and partition."""
    rows = ConsumerOffset.objects.filter(group=group, topic=topic)
    return list(rows.order_by("cluster_id", "topic_id", "partition"))


def groups_of_topic(*, cluster_id: str, topic_id: str) -> list[str]:
    """The groups that have begun to read the topic, by name."""
    rows = ConsumerOffset.objects.filter(cluster_id=cluster_id, topic_id=topic_id)
    return list(rows.order_by("group").values_list("group", flat=True).distinct())


def dead_letter_counts(*, group: str, topic: str) -> dict[tuple[str, str, int], int]:
    """How many dead letters the group has, by cluster id, topic id and partition of every topic of this name."""
    rows = DeadLetter.objects.filter(group=group, topic=topic).order_by()
    counted = rows.values_list("cluster_id", "topic_id", "partition").annotate(Count("pk"))
    return {(cluster_id, topic_id, partition): count for cluster_id, topic_id, partition, count in counted}


def dead_letter_offsets(
    *, group: str, cluster_id: str, topic_id: str, partition: int, lowest: int, highest: int
) -> list[int]:
    """The offsets from `lowest` to `highest`, both included, that the group dead-lettered, in order."""
    rows = DeadLetter.objects.filter(
        group=group,
        cluster_id=cluster_id,
        topic_id=topic_id,
        partition=partition,
        offset__range=(lowest, highest),
    )
    return list(rows.order_by("offset").values_list("offset", flat=True))

"""Reads of where consumer groups stand."""

from workers.ingestion.models import ConsumerOffset, DeadLetter


def group_positions(*, group: str, cluster_id: str, topic_id: str) -> dict[int, int]:
    """The next offset of each partition that the group has begun, as committed in the database."""
    rows = ConsumerOffset.objects.filter(group=group, cluster_id=cluster_id, topic_id=topic_id)
    return dict(rows.values_list("partition", "next_offset"))


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

"""Where a consumer begins in a partition that it takes over: one rule, whatever was promised and whatever is now."""

from dataclasses import dataclass

from workers.ingestion.delivery import Delivery
from workers.kafka.group import Commit


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where the next owner begins; `skipped` offsets before it were begun by the former one and never applied.

    `latest_time` is the running maximum of record times, in microseconds since the Unix epoch.
    """

    next_offset: int
    latest_time: int = 0
    leader_epoch: int | None = None
    skipped: int = 0


def beginning(
    standing: Beginning, *, epoch: int, former: Delivery, delivery: Delivery, committed: Commit | None
) -> Beginning:
    """Where an owner that promises this `delivery` goes on after one that had this `epoch` and promised the `former`.

    `standing` is the position in the store, which alone counts after exactly-once. After the other two the offset that
    was committed to Kafka counts too, if that owner committed it: one of another epoch is older than the last
    take-over, or than the last time that an operator moved the position. Back behind `standing`, where all was
    written, goes at-least-once alone, and only after itself.
    """
    if committed is None or committed.epoch != epoch:
        return standing
    moved = committed.offset - standing.next_offset
    if former == delivery == Delivery.AT_LEAST_ONCE and moved < 0:
        # The messages in between come once more. They must have the times that they had, so the maximum goes back too.
        return Beginning(committed.offset, committed.latest_time, committed.leader_epoch)
    if former == Delivery.AT_MOST_ONCE and moved > 0:
        return Beginning(committed.offset, committed.latest_time, committed.leader_epoch, skipped=moved)
    return standing

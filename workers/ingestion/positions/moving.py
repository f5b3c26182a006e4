"""Moves a group's position: a plan that a person agrees to, then one transaction that running consumers notice.

The row in the database decides, whatever Kafka has as the group's committed offset: a commit counts only when it was
made under the row's epoch, which a move raises. A running consumer is refused its next write, or finds out when it asks
once a second with nothing to write; it takes its partitions over again and reads on from the new position by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models.functions import Now

from workers.ingestion.models import ConsumerOffset
from workers.ingestion.positions.destination import Exactly
from workers.ingestion.positions.planning import Move, MoveRequest, Plan, check_unchanged, planned_moves
from workers.kafka.topics import Topic

logger = structlog.get_logger(__name__)


def move_offsets(request: MoveRequest, *, confirm: Callable[[Sequence[Move]], bool]) -> list[Move] | None:
    """Moves the group, once `confirm` has seen what that will do and agrees; what was done, None where it does not.

    An answer may take its time: the ends and the positions that count are those of after it. All partitions move in one
    transaction. `now` of the result is where each stood at that moment. Raises KafkaError, UnknownPartition,
    OffsetOutOfRange or PlanChanged before anything is changed.
    """
    shown = planned_moves(request)
    if not confirm(shown.moves):
        return None
    plan = planned_moves(request)
    check_unchanged(shown, plan)
    moved = _moved(request, plan)
    logger.info(
        "positions_moved",
        group=request.group,
        topic=plan.topic.name,
        partitions=[move.partition for move in moved],
        read_again=sum(move.read_again for move in moved),
        skipped=sum(move.skipped for move in moved),
    )
    return moved


def _moved(request: MoveRequest, plan: Plan) -> list[Move]:
    may_stand_ahead = not isinstance(request.destination, Exactly)
    by_partition = {move.partition: move for move in plan.moves}
    with transaction.atomic():
        rows = _locked_rows(request.group, plan.topic, plan.moves)
        moves = [_from_row(by_partition[row.partition], row, may_stand_ahead=may_stand_ahead) for row in rows]
        check_unchanged(plan, replace(plan, moves=moves))
        for row, move in zip(rows, moves, strict=True):
            _place(row, move)
        ConsumerOffset.objects.bulk_update(
            rows, ["next_offset", "epoch", "latest_time", "leader_epoch", "updated_at"], batch_size=500
        )
    return moves


def _locked_rows(group: str, topic: Topic, moves: Sequence[Move]) -> list[ConsumerOffset]:
    ours = {"group": group, "cluster_id": topic.cluster_id, "topic_id": topic.topic_id}
    # First those that have no row yet, so that there is one to lock: a consumer may be about to begin there.
    ConsumerOffset.objects.bulk_create(
        [
            ConsumerOffset(**ours, topic=topic.name, partition=move.partition, next_offset=move.then)
            for move in moves
            if move.now is None
        ],
        ignore_conflicts=True,
    )
    partitions = [move.partition for move in moves]
    locked = ConsumerOffset.objects.select_for_update().filter(**ours, partition__in=partitions)
    return list(locked.order_by("partition"))


def _from_row(move: Move, row: ConsumerOffset, *, may_stand_ahead: bool) -> Move:
    """The move from where the row stands.

    A group that has meanwhile read past the end that it was to be moved to stays there, as that is nearer to the end.
    """
    now = row.next_offset if row.epoch else None
    is_ahead = may_stand_ahead and not move.goes_back and move.then == move.end and (now or 0) > move.then
    return replace(move, now=now, then=row.next_offset if is_ahead else move.then)


def _place(row: ConsumerOffset, move: Move) -> None:
    row.latest_time = _latest_time(row, move)
    row.next_offset = move.then
    row.epoch += 1
    row.leader_epoch = None  # it belongs to the message before the position: which that is now, nobody has looked
    row.updated_at = Now()


def _latest_time(row: ConsumerOffset, move: Move) -> datetime | None:
    """The running maximum that reading everything before the new position would have left.

    Going back with the old one, messages that are read again would count as newer than they are, and beat what was
    written since. With none, a message that comes after an applied one, and has an older stamp, would lose to it. The
    old one still bounds a stamp in the future, which counted as the time at which it was read.
    """
    if row.epoch == 0 or row.latest_time is None:
        return move.time_before
    if move.then < row.next_offset:
        return None if move.time_before is None else min(move.time_before, row.latest_time)
    return row.latest_time if move.time_before is None else max(move.time_before, row.latest_time)

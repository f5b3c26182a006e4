"""A group's lag as a table for people and as one JSON object for programs."""

import json
from collections.abc import Sequence
from datetime import datetime

from movieapp.words import counted
from workers.ingestion.positions.lag import FormerTopic, GroupLag, PartitionLag, State
from workers.kafka.members import GroupMember
from workers.tables import Column, Output, table_text

_STATES = {
    State.BEGUN: "",
    State.NOT_BEGUN: "not begun",
    State.DELETED_UNREAD: "deleted unread",
    State.PAST_END: "past the end",
}


def lag_json(lag: GroupLag) -> str:
    """One line. Names are stable: docs/howto/positions.md tells what each one means."""
    return json.dumps(
        {
            "group": lag.group,
            "topic": lag.topic.name,
            "topicId": lag.topic.topic_id,
            "clusterId": lag.topic.cluster_id,
            "takenAt": _moment(lag.taken_at),
            "rateSeconds": round(lag.over_seconds, 3),
            "lag": sum(part.lag for part in lag.partitions),
            "rate": _rounded(_total_rate(lag)),
            "skipped": sum(part.skipped for part in lag.partitions),
            "deadLetters": sum(part.dead_letters for part in lag.partitions),
            "partitions": [_partition(part) for part in lag.partitions],
            "formerTopics": [_former(former) for former in lag.former_topics],
        }
    )


def lag_table(lag: GroupLag, *, output: Output) -> str:
    """A table of the partitions, their sums, and notes on whatever a person should know."""
    parts = lag.partitions
    deliveries = {part.delivery for part in parts if part.delivery}
    columns = [
        Column("partition", [str(part.partition) for part in parts], "all"),
        Column("position", [_number(part.position) for part in parts], rank=1),
        Column("end", [_number(part.end) for part in parts], rank=5),
        Column("lag", [_number(part.lag) for part in parts], _number(sum(part.lag for part in parts))),
        Column("per second", [_number(part.rate) for part in parts], _number(_total_rate(lag)), rank=2),
        Column("owner", [str(part.owner or "nobody") for part in parts], rank=3, is_text=True),
        Column("moved", [_ago(part.moved_at, lag.taken_at) for part in parts], rank=6),
    ]
    counted = [("dead letters", [part.dead_letters for part in parts]), ("skipped", [part.skipped for part in parts])]
    columns += [
        Column(name, list(map(_number, cells)), _number(sum(cells)), 4) for name, cells in counted if any(cells)
    ]
    if len(deliveries) > 1:
        columns.append(Column("delivery", [part.delivery or "" for part in parts], rank=7, is_text=True))
    if any(part.state is not State.BEGUN for part in parts):
        columns.append(Column("", [_STATES[part.state] for part in parts], is_text=True))
    title = f"Group {lag.group}, topic {lag.topic.name}"
    if len(deliveries) == 1:
        title += f", {deliveries.pop()}"
    return table_text(columns, title=title, notes=_notes(lag), output=output)


def _notes(lag: GroupLag) -> list[str]:
    notes = []
    states = {part.state for part in lag.partitions}
    if states == {State.NOT_BEGUN}:
        others = f" Groups that have: {', '.join(lag.other_groups)}." if lag.other_groups else ""
        notes.append(f"The group has not begun to read this topic: it would begin at its earliest messages.{others}")
    if states & {State.DELETED_UNREAD, State.PAST_END}:
        notes.append("A consumer stops at a position that its partition does not have: see manage.py move_offsets.")
    notes += [
        f"Positions in another topic of this name, which is no more or in another cluster: "
        f"{counted(former.partitions, 'partition')}, {counted(former.dead_letters, 'dead letter')}, "
        f"{former.skipped:,} skipped, last moved "
        f"{_ago(former.moved_at, lag.taken_at)} ago (topic id {former.topic_id}, cluster {former.cluster_id})."
        for former in lag.former_topics
    ]
    return notes


def _partition(part: PartitionLag) -> dict[str, object]:
    return {
        "partition": part.partition,
        "state": part.state.value,
        "position": part.position,
        "first": part.first,
        "end": part.end,
        "lag": part.lag,
        "rate": _rounded(part.rate),
        "owner": _owner(part.owner),
        "delivery": part.delivery,
        "skipped": part.skipped,
        "deadLetters": part.dead_letters,
        "epoch": part.epoch,
        "movedAt": _moment(part.moved_at),
    }


def _owner(owner: GroupMember | None) -> dict[str, str] | None:
    if owner is None:
        return None
    return {
        "memberId": owner.member_id,
        "clientId": owner.client_id,
        "instanceId": owner.instance_id,
        "host": owner.host,
    }


def _former(former: FormerTopic) -> dict[str, object]:
    return {
        "topicId": former.topic_id,
        "clusterId": former.cluster_id,
        "partitions": former.partitions,
        "skipped": former.skipped,
        "deadLetters": former.dead_letters,
        "movedAt": _moment(former.moved_at),
    }


def _total_rate(lag: GroupLag) -> float | None:
    rates: Sequence[float] = [part.rate for part in lag.partitions if part.rate is not None]
    return sum(rates) if rates else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value):,}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _ago(value: datetime | None, now: datetime) -> str:
    if value is None:
        return ""
    seconds = max(0, round((now - value).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"

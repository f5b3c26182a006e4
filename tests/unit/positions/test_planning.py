"""When a move of a group still does what somebody agreed to."""

import pytest

from workers.ingestion.positions.planning import Move, Plan, PlanChanged, check_unchanged
from workers.kafka.topics import Topic


def plan(now: int | None, then: int, end: int = 100, *, topic_id: str = "a", partition: int = 0) -> Plan:
    topic = Topic(name="ratings", topic_id=topic_id, cluster_id="c", partitions=2)
    return Plan(topic, [Move(partition=partition, now=now, then=then, first=0, end=end, time_before=None)])


@pytest.mark.parametrize(
    ("agreed", "found"),
    [
        (plan(50, 20), plan(50, 20)),
        (plan(50, 20), plan(90, 20)),  # reads on: more of it is read again
        (plan(50, 70), plan(70, 70)),
        (plan(50, 100), plan(90, 130, end=130)),  # the end has moved on
        (plan(None, 0), plan(None, 0, end=130)),
        (plan(None, 100), plan(5, 100)),
        (plan(120, 100), plan(120, 100)),  # a topic that has lost its end
    ],
)
def test_it_does_while_only_the_group_reads_on_and_the_end_moves_on(agreed: Plan, found: Plan) -> None:
    check_unchanged(agreed, found)


@pytest.mark.parametrize(
    ("agreed", "found"),
    [
        (plan(50, 70), plan(71, 70)),  # it was ahead, and would be a way back now
        (plan(50, 100), plan(130, 100, end=130)),
        (plan(0, 0), plan(10, 0)),
        (plan(None, 0), plan(10, 0)),
        (plan(50, 20), plan(10, 20)),  # somebody else has moved it
        (plan(50, 20), plan(50, 25)),  # the messages before 25 are gone
        (plan(50, 100), plan(50, 90, end=130)),
        (plan(50, 20), plan(50, 20, topic_id="b")),
        (plan(50, 20), plan(50, 20, partition=1)),
    ],
)
def test_it_does_not_where_it_would_go_elsewhere_or_back(agreed: Plan, found: Plan) -> None:
    with pytest.raises(PlanChanged, match="Nothing was moved") as changed:
        check_unchanged(agreed, found)
    assert changed.value.moves == found.moves

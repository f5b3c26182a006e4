"""The account of delivery reports: spans of offsets, and the place before which all is acknowledged."""

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import fixed
from workers.kafka.deliveries import Deliveries


@fixed(200)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 2)), max_size=60))
def test_spans_hold_exactly_the_acknowledged_offsets(writes: list[tuple[int, int, int]]) -> None:
    """Each write is ours in some partition, after some messages of somebody else."""
    deliveries = Deliveries()
    batch = deliveries.begin("here")
    ends = dict.fromkeys(range(4), 0)
    ours: set[tuple[int, int]] = set()
    for partition, count, others in writes:
        ends[partition] += others
        for _ in range(count):
            batch.unsettled += 1
            deliveries.acknowledge(batch, partition, ends[partition])
            ours.add((partition, ends[partition]))
            ends[partition] += 1
    spans = list(deliveries.spans())
    assert {(partition, offset) for partition, first, last in spans for offset in range(first, last + 1)} == ours
    assert len(spans) <= len(writes)
    assert deliveries.ends() == {partition: max(o for p, o in ours if p == partition) + 1 for partition, _ in ours}
    assert deliveries.acknowledged == len(ours)


def test_messages_without_a_pause_between_them_are_one_span() -> None:
    deliveries = Deliveries()
    batch = deliveries.begin(None)
    for offset in range(100_000):
        deliveries.acknowledge(batch, 1, 7 + offset)
    assert list(deliveries.spans()) == [(1, 7, 100_006)]


def test_the_first_unacknowledged_place_waits_for_the_slowest() -> None:
    deliveries = Deliveries()
    first = deliveries.begin("a")
    first.unsettled = 2
    second = deliveries.begin("b")
    second.unsettled = 2
    third = deliveries.begin("c")
    third.unsettled = 2
    deliveries.acknowledge(second, 0, 0)
    deliveries.acknowledge(second, 0, 1)
    assert deliveries.first_unacknowledged() == "a"
    deliveries.acknowledge(first, 1, 0)
    assert deliveries.first_unacknowledged() == "a"
    deliveries.acknowledge(first, 1, 1)
    assert deliveries.first_unacknowledged() == "c"
    deliveries.acknowledge(third, 1, 2)
    deliveries.refuse("too large")
    assert deliveries.first_unacknowledged() == "c"
    assert deliveries.failed == 1

"""Waiting for a consumer group: until it has passed our last message, counting exactly ours."""

from dataclasses import dataclass, field

import pytest
from django.db import OperationalError

from workers.ingestion.sending.arrival import Arrival, GroupWatch
from workers.kafka.deliveries import Deliveries
from workers.kafka.topics import Topic

TOPIC = Topic(name="ratings", topic_id="t", cluster_id="c", partitions=3)


@dataclass
class _Meter:
    counts: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def update(self, *, count: int, share: float | None = None, title: str | None = None) -> None:
        self.counts.append(count)

    def say(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class _Group:
    """A group that stands at each of `steps` in turn, then at the last one for ever; time passes as one sleeps."""

    steps: list[dict[int, int] | None]
    dead: dict[int, list[int]] = field(default_factory=dict)
    now: float = 0.0

    def positions(self, *, group: str, cluster_id: str, topic_id: str) -> dict[int, int]:
        assert (group, cluster_id, topic_id) == ("rating", "c", "t")
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if step is None:
            raise OperationalError("the server is gone")
        return step

    def dead_letters(
        self, *, group: str, cluster_id: str, topic_id: str, partition: int, lowest: int, highest: int
    ) -> list[int]:
        return [offset for offset in self.dead.get(partition, []) if lowest <= offset <= highest]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def watch(self, meter: _Meter, timeout: float | None = None) -> GroupWatch:
        return GroupWatch(
            topic=TOPIC,
            group="rating",
            meter=meter,
            on_wait=lambda: None,
            timeout=timeout,
            clock=lambda: self.now,
            sleep=self.sleep,
            positions=self.positions,
            dead_letters=self.dead_letters,
        )


def _deliveries() -> Deliveries:
    """Ours are offsets 10-14 and 20-24 of partition 0 and 0-4 of partition 2: somebody else wrote 15-19."""
    deliveries = Deliveries()
    batch = deliveries.begin(None)
    for partition, offsets in ((0, range(10, 15)), (2, range(5)), (0, range(20, 25))):
        for offset in offsets:
            batch.unsettled += 1
            deliveries.acknowledge(batch, partition, offset)
    return deliveries


def test_it_ends_when_every_partition_is_passed() -> None:
    meter = _Meter()
    group = _Group([{}, {0: 12}, {0: 18}, {0: 25, 2: 4}, {0: 30, 2: 5}])
    assert group.watch(meter).wait_for(_deliveries()) == Arrival(applied=15, dead_lettered=0)
    assert meter.counts == [0, 2, 5, 14, 15]
    assert meter.lines == []


def test_only_dead_letters_among_our_offsets_count() -> None:
    group = _Group([{0: 25, 2: 5}], dead={0: [9, 10, 15, 19, 24, 25], 1: [1], 2: [4]})
    assert group.watch(_Meter()).wait_for(_deliveries()) == Arrival(applied=12, dead_lettered=3)


def test_a_group_that_stands_still_is_told_with_what_to_do() -> None:
    meter = _Meter()
    group = _Group([*[{}] * 50, {0: 25, 2: 5}])
    group.watch(meter).wait_for(_deliveries())
    assert 2 <= len(meter.lines) <= 3
    assert "consumer of group rating" in meter.lines[0]
    assert "manage.py consume_ratings --group rating" in meter.lines[0]


def test_a_time_out_counts_what_is_outstanding() -> None:
    group = _Group([{0: 13}], dead={0: [10, 14]})
    arrival = group.watch(_Meter(), timeout=60).wait_for(_deliveries())
    assert arrival == Arrival(applied=2, dead_lettered=1, outstanding=12)
    assert 60 <= group.now < 61


def test_a_database_that_is_away_is_waited_for() -> None:
    group = _Group([{0: 12}, None, None, {0: 25, 2: 5}])
    assert group.watch(_Meter()).wait_for(_deliveries()).applied == 15


def test_nothing_sent_is_there_at_once() -> None:
    group = _Group([{}])
    assert group.watch(_Meter()).wait_for(Deliveries()) == Arrival(applied=0, dead_lettered=0)


def test_what_the_caller_raises_ends_the_wait() -> None:
    watch = _Group([{}]).watch(_Meter())

    def stop() -> None:
        raise KeyboardInterrupt

    watch.on_wait = stop
    with pytest.raises(KeyboardInterrupt):
        watch.wait_for(_deliveries())

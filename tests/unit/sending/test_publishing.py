"""The loop from events to messages, on Kafka in memory."""

from collections.abc import Iterable, Iterator

import pytest

from ratings.events import RatingEvent, decode_event
from workers.ingestion.sending.files.events import Rejection
from workers.ingestion.sending.publishing import (
    DeliveryRefused,
    DiscardingProducer,
    InvalidEvent,
    NoAnswer,
    Place,
    Publisher,
)
from workers.kafka.memory_producer import MemoryProducer, MemoryTarget

Item = tuple[int, RatingEvent | Rejection]


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


class _Stopped(Exception):
    pass


def _events(count: int, first: int = 1) -> Iterator[Item]:
    for number in range(first, first + count):
        yield number, RatingEvent("movie", str(number % 50), "", str(number), number % 101)


def _publisher(topic: MemoryTarget, *, capacity: int = 100_000, skip_invalid: bool = False) -> Publisher:
    producer = MemoryProducer(topic, capacity=capacity)
    return Publisher(producer=producer, timeout=5.0, skip_invalid=skip_invalid, clock=_Clock())


def _stored(topic: MemoryTarget) -> list[RatingEvent]:
    return [decode_event(message.value) for partition in topic.partitions for message in partition]


def test_every_event_arrives_keyed_by_record() -> None:
    topic = MemoryTarget.with_partitions(3)
    publisher = _publisher(topic)
    publisher.publish(_events(2_500), path="a", file=0)
    publisher.drain()
    assert publisher.tally.read == publisher.deliveries.acknowledged == 2_500
    assert sorted(_stored(topic), key=lambda event: int(event.user_id)) == [event for _, event in _events(2_500)]
    for partition in topic.partitions:
        assert all(message.key == b"movie:" + decode_event(message.value).record_id.encode() for message in partition)
    assert publisher.resume_place() == Place(0, 2_501)
    assert sum(last + 1 - first for _, first, last in publisher.deliveries.spans()) == 2_500


def test_a_full_queue_is_waited_for() -> None:
    publisher = _publisher(MemoryTarget.with_partitions(1), capacity=7)
    publisher.publish(_events(100), path="a", file=0)
    publisher.drain()
    assert publisher.deliveries.acknowledged == 100


def test_the_first_invalid_event_stops_and_is_the_place_to_go_on_from() -> None:
    topic = MemoryTarget.with_partitions(1)
    publisher = _publisher(topic)
    items: Iterable[Item] = [*_events(3), (9, Rejection(4, "userId: it is empty")), *_events(3, first=10)]
    with pytest.raises(InvalidEvent, match=r"a.json:4 \(element 9\): userId: it is empty"):
        publisher.publish(iter(items), path="a.json", file=2)
    publisher.settle(timeout=5)
    assert (publisher.tally.read, publisher.tally.rejected) == (4, 1)
    assert publisher.deliveries.acknowledged == 3
    assert publisher.resume_place() == Place(2, 9)


def test_invalid_events_may_be_skipped_and_the_first_twenty_are_kept() -> None:
    publisher = _publisher(MemoryTarget.with_partitions(1), skip_invalid=True)
    items = [(line, Rejection(line, "no")) for line in range(1, 51)]
    publisher.publish(iter([*items, *_events(2, first=51)]), path="a", file=0)
    publisher.drain()
    assert (publisher.tally.read, publisher.tally.rejected) == (52, 50)
    assert publisher.tally.shown == [f"a:{line}: no" for line in range(1, 21)]
    assert publisher.deliveries.acknowledged == 2


def test_no_answer_for_the_time_out_ends_it_and_counts_what_is_open() -> None:
    topic = MemoryTarget.with_partitions(
        2,
    )
    publisher = _publisher(topic, capacity=500)

    def events() -> Iterator[Item]:
        yield from _events(1_500)
        topic.away = True
        yield from _events(5_000, first=1_501)

    with pytest.raises(NoAnswer, match=r"acknowledged nothing for 5 s .*away"):
        publisher.publish(events(), path="a", file=0)
    publisher.settle(timeout=0)
    deliveries = publisher.deliveries
    assert deliveries.acknowledged + deliveries.unknown == publisher.tally.read
    assert deliveries.unknown == deliveries.failed == 500
    place = publisher.resume_place()
    assert place.position <= deliveries.acknowledged + 1
    acknowledged = {event.user_id for event in _stored(topic)}
    assert acknowledged.issuperset(str(number) for number in range(1, place.position))


def test_a_slow_but_steady_broker_is_not_given_up() -> None:
    topic = MemoryTarget.with_partitions(1)
    clock = _Clock()
    publisher = Publisher(producer=MemoryProducer(topic), timeout=5.0, skip_invalid=False, clock=clock)

    def events() -> Iterator[Item]:
        for item in _events(20):
            clock.now += 4.0
            publisher.tick()
            yield item

    publisher.publish(events(), path="a", file=0)
    publisher.drain()
    assert publisher.deliveries.acknowledged == 20


def test_a_wait_for_input_is_not_a_wait_for_kafka() -> None:
    clock = _Clock()
    publisher = Publisher(
        producer=MemoryProducer(MemoryTarget.with_partitions(1)), timeout=5.0, skip_invalid=False, clock=clock
    )
    publisher.publish(_events(1), path="a", file=0)
    publisher.drain()
    clock.now += 3_600
    publisher.tick()
    publisher.publish(_events(1, first=2), path="a", file=0)
    publisher.drain()
    assert publisher.deliveries.acknowledged == 2


def test_a_refusal_stops_it_with_the_reason() -> None:
    topic = MemoryTarget.with_partitions(
        1,
    )
    topic.refusal = "not authorized"
    publisher = _publisher(topic)
    with pytest.raises(DeliveryRefused, match="not authorized"):
        publisher.publish(_events(5_000), path="a", file=0)
    publisher.settle(timeout=1)
    assert publisher.deliveries.acknowledged == 0
    assert publisher.deliveries.refused == {"not authorized": publisher.tally.read}
    assert publisher.resume_place() == Place(0, 1)


def test_a_stop_leaves_the_tally_right() -> None:
    publisher = _publisher(MemoryTarget.with_partitions(1))
    calls = 0

    def stop_at_third() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise _Stopped

    publisher.on_tick = stop_at_third
    with pytest.raises(_Stopped):
        publisher.publish(_events(10_000), path="a", file=0)
    publisher.settle(timeout=5)
    assert publisher.tally.read == publisher.deliveries.acknowledged == 2_000
    assert publisher.resume_place() == Place(0, 2_001)


def test_a_dry_run_reads_all_and_has_no_failures() -> None:
    publisher = Publisher(producer=DiscardingProducer(), timeout=1, skip_invalid=True)
    publisher.publish(_events(3_000), path="a", file=0)
    publisher.drain()
    assert publisher.tally.read == 3_000
    assert publisher.deliveries.acknowledged == publisher.deliveries.failed == 0

"""A consumer whose topic turns bad: it stops before the batch, and whoever comes next finds all of it."""

import pytest

from tests.unit.consuming.scene import delete, take_from
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.breaker import DeadLetterBreaker
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import StoreNotReady, TooManyDeadLetters
from workers.ingestion.postgres_errors import Refusal
from workers.kafka.group import NotCommitted

LARGE = BatchLimits(messages=5_000, seconds=5.0)
NO = Refusal("userId", "the database refuses it")


@pytest.fixture(params=list(Delivery))
def delivery(request):
    return request.param


def fill(scene, *, bad, of=1_000, partition=0):
    for number in range(of):
        if number < bad:
            scene.poison(partition)
        else:
            scene.put(partition, f"u{number}", 5)


def refuses(event):
    """Some 440 of the first 1,000 users."""
    return NO if event.user_id > "u5" else None


def begin(scene, member):
    """Fetches what there is and begins to write it."""
    member.turns(4)
    scene.clock.sleep(LARGE.seconds)
    member.turns()
    assert member.consumer._writer.is_writing


def stops(member):
    with pytest.raises(TooManyDeadLetters) as raised:
        member.settle(400)
    return str(raised.value)


def test_it_stops_before_anything_of_the_batch_is_written_or_committed(scene, delivery):
    fill(scene, bad=101)
    for _ in range(2):  # a restart meets the same
        member = scene.member(0, limits=LARGE, delivery=delivery)
        assert "offset 0 of partition 0" in stops(member)
        assert (scene.values(), scene.letters(), scene.positions()) == ({}, {}, {0: 0})
        assert scene.committed().get(0, 0) == 0
        assert member.consumer.tally.batches == 0
        member.source.lose(0)


def test_a_share_within_the_limit_is_kept(scene, delivery):
    fill(scene, bad=100)
    member = scene.member(0, limits=LARGE, delivery=delivery)
    member.settle()
    assert (len(scene.letters()), len(scene.values()), scene.positions()) == (100, 900, {0: 1_000})


def test_what_the_database_refuses_counts_as_well(scene, delivery):
    scene.tables.refuses = refuses
    fill(scene, bad=60)
    for _ in range(2):  # a restart meets the same
        member = scene.member(0, limits=LARGE, delivery=delivery)
        assert "nothing is lost" in stops(member)
        assert (scene.values(), scene.letters(), scene.positions()) == ({}, {}, {0: 0})
        member.source.lose(0)
    scene.tables.refuses = lambda _: None
    scene.member(0, limits=LARGE, delivery=delivery).settle()
    assert (len(scene.letters()), len(scene.values()), scene.positions()) == (60, 940, {0: 1_000})
    assert scene.skipped() == 0


def test_at_most_once_loses_no_partition_that_is_taken_away_while_it_trips(scene):
    """What is raised while the partitions are revoked is only logged: the others are met again, and stop it then."""
    scene.tables.refuses = refuses
    fill(scene, bad=0, of=500)
    fill(scene, bad=60, partition=1)
    member = scene.member(0, 1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE)
    begin(scene, member)
    assert scene.committed() == {0: 500, 1: 1_000}
    member.source.revoke(1)
    member.turns()
    assert (scene.values(), scene.letters(), scene.positions()) == ({}, {}, {0: 0, 1: 0})
    scene.tables.refuses = lambda _: None
    member.settle()
    scene.member(1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE).settle()
    assert (scene.positions(), scene.skipped()) == ({0: 500, 1: 1_000}, 0)
    assert len(scene.letters()) == 60


def test_at_most_once_loses_nothing_when_what_another_owner_leaves_of_a_batch_trips(scene):
    fill(scene, bad=0, of=600)
    fill(scene, bad=110, partition=1)
    member = scene.member(0, 1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE)
    begin(scene, member)
    take_from(scene, 0)
    stops(member)
    assert scene.tables.positions["rating", 0].epoch == 2  # the other owner keeps it
    member.source.lose(0, 1)
    scene.member(1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE, breaker=DeadLetterBreaker(1.0)).settle()
    assert (len(scene.letters()), scene.positions()[1], scene.skipped()) == (110, 1_000, 0)


def test_at_most_once_loses_nothing_when_what_kafka_takes_of_a_batch_trips(scene):
    fill(scene, bad=0, of=600)
    fill(scene, bad=110, partition=1)
    member = scene.member(0, 1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE)
    member.source.commit_fault = NotCommitted(refused=frozenset({0}))
    stops(member)
    member.source.lose(0, 1)
    scene.member(1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE, breaker=DeadLetterBreaker(1.0)).settle()
    assert (len(scene.letters()), scene.positions()[1], scene.skipped()) == (110, 1_000, 0)


def test_at_most_once_loses_nothing_when_what_is_left_after_a_failed_flush_trips(scene):
    fill(scene, bad=0, of=600)
    fill(scene, bad=110, partition=1)
    member = scene.member(0, 1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE)
    begin(scene, member)
    member.store.faults.append(StoreNotReady("there is no such table"))
    member.source.revoke(0)
    stops(member)
    member.source.lose(1)
    scene.member(1, limits=LARGE, delivery=Delivery.AT_MOST_ONCE, breaker=DeadLetterBreaker(1.0)).settle()
    assert (len(scene.letters()), scene.positions()[1], scene.skipped()) == (110, 1_000, 0)


@pytest.mark.parametrize("answers_after", [3, 1_000])
def test_at_most_once_tries_for_some_time_and_tells_what_is_lost_otherwise(scene, answers_after):
    scene.tables.refuses = refuses
    fill(scene, bad=60)
    member = scene.member(0, limits=LARGE, delivery=Delivery.AT_MOST_ONCE)
    begin(scene, member)
    member.executor.run_one()
    member.store.faults.extend(["before"] * answers_after)
    told = stops(member)
    member.source.lose(0)
    scene.tables.refuses = lambda _: None
    scene.member(0, limits=LARGE, delivery=Delivery.AT_MOST_ONCE).settle()
    if answers_after == 3:
        assert "nothing is lost" in told
        assert (scene.positions(), scene.skipped()) == ({0: 1_000}, 0)
    else:
        assert "nothing is lost" not in told
        assert "passes over 1000 messages of partitions [0]" in told
        assert (scene.values(), scene.positions(), scene.skipped()) == ({}, {0: 1_000}, 1_000)


def test_many_small_batches_trip_it_too_and_those_before_are_kept(scene):
    member = scene.member(0)
    for _ in range(19):
        fill(scene, bad=50, of=50)
        member.settle(20)
    fill(scene, bad=50, of=50)
    stops(member)
    assert len(scene.letters()) == scene.positions()[0] == 950


def test_while_a_partition_is_taken_away_it_keeps_the_rest(scene):
    """Inside a rebalance nothing may be raised: the loop meets it again, and loses no message of what it keeps."""
    member = scene.member(0, 1, limits=LARGE)
    fill(scene, bad=400, partition=1)
    fill(scene, bad=0, of=200)
    member.turns(2)
    member.source.revoke(1)
    member.settle()
    assert scene.positions() == {0: 200, 1: 0}
    heir = scene.member(1, limits=LARGE)
    stops(heir)
    assert scene.letters() == {}


def test_refused_events_are_tallied_as_letters(scene):
    scene.tables.refuses = lambda event: NO if event.tenths is None else None
    scene.topic.append(0, delete("a"), milliseconds=1)
    scene.put(0, "b", 4)
    scene.poison(0)
    member = scene.member(0)
    member.settle(20)
    assert (member.consumer.tally.applied, member.consumer.tally.dead_lettered) == (1, 2)
    assert scene.letters() == {(0, 0): 1, (0, 2): 1}
    assert scene.values() == {("b", "1"): 40}

"""A consumer whose topic turns bad: it stops before the batch, and whoever comes next finds all of it."""

import pytest

from tests.unit.consuming.scene import delete
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import TooManyDeadLetters
from workers.ingestion.postgres_errors import Refusal

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


def test_what_the_database_refuses_counts_as_well(scene):
    scene.tables.refuses = lambda event: NO if event.user_id > "u5" else None
    fill(scene, bad=60)
    member = scene.member(0, limits=LARGE)
    stops(member)
    assert (scene.values(), scene.letters(), scene.positions()) == ({}, {}, {0: 0})
    member.source.lose(0)
    scene.tables.refuses = lambda _: None
    scene.member(0, limits=LARGE).settle()
    assert (len(scene.letters()), len(scene.values()), scene.positions()) == (60, 940, {0: 1_000})


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

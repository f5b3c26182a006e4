"""The consume loop while all is well: batches, positions, groups and the time of an event."""

import pytest

from tests.unit.consuming.scene import START, delete, put
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.memory import InMemoryStore
from workers.kafka.errors import OffsetNotAvailable


def test_events_letters_and_positions_arrive_together(scene):
    scene.put(0, "a", 4)
    scene.poison(0)
    scene.topic.append(1, delete("b"), milliseconds=START)
    member = scene.member(0, 1)
    member.settle(10)
    assert scene.values() == {("a", "1"): 40, ("b", "1"): None}
    assert scene.letters() == {(0, 1): 1}
    assert scene.positions() == {0: 2, 1: 1}
    assert scene.committed() == {0: 2, 1: 1}
    assert (member.consumer.tally.applied, member.consumer.tally.dead_lettered) == (2, 1)


def test_nothing_is_written_before_the_batch_is_old_or_full(scene):
    member = scene.member(0, limits=BatchLimits(messages=3, seconds=5))
    scene.put(0, "a", 1)
    member.turns(3)
    assert "apply" not in member.store.calls
    scene.put(0, "b", 1)
    scene.put(0, "c", 1)
    member.turns(2)
    member.executor.run_one()
    assert set(scene.values()) == {("a", "1"), ("b", "1"), ("c", "1")}


def test_a_writer_with_nothing_to_do_waits_for_no_full_batch(scene):
    member = scene.member(0, limits=BatchLimits(seconds=1_000))
    for user in range(12_000):
        scene.put(0, str(user), 1)
    member.turns(6)
    assert member.consumer._writer.in_flight.messages == 5_000
    member.turns(6)
    assert member.consumer._writer.waiting is None  # behind one that is at work it grows
    assert member.consumer._building.messages == 7_000


def test_a_batch_is_full_by_bytes_too(scene):
    member = scene.member(0, limits=BatchLimits(messages=1_000, bytes=200, seconds=1_000))
    for user in range(3):
        scene.put(0, str(user), 1)
    member.turns(3)
    assert member.consumer._writer.is_writing


def test_the_bytes_of_a_batch_are_those_of_the_partitions_that_are_left(scene):
    member = scene.member(0, 1, limits=BatchLimits(messages=1_000, bytes=200, seconds=1_000))
    scene.put(0, "a", 1)
    scene.put(1, "b", 1)
    member.turns()
    member.source.lose(1)
    member.turns(2)
    assert not member.consumer._writer.is_writing
    scene.put(0, "c", 1)
    scene.put(0, "d", 1)
    member.turns(2)
    assert member.consumer._writer.is_writing


def test_run_writes_what_it_fetched_and_gives_the_partitions_back(scene):
    member = scene.member()
    member.source.give(0, 1)
    for user in range(5):
        scene.put(0, str(user), 1)
    turns = iter([False, False, True])
    member.consumer.run(lambda: next(turns))
    assert len(scene.values()) == 5
    assert scene.committed() == {0: 5}
    assert member.source.assigned == frozenset()


def test_an_error_that_ends_the_loop_gives_the_partitions_back(scene):
    scene.put(0, "a", 1)
    member = scene.member(0)
    scene.topic.delete_before(1, 5)
    member.source.give(1)
    scene.tables.positions.clear()
    InMemoryStore(scene.tables).take([1], first_offset=lambda _: 0)
    with pytest.raises(OffsetNotAvailable):
        member.consumer.run(lambda: False)
    assert member.source.assigned == frozenset()


def test_positions_pass_what_is_no_message(scene):
    scene.put(0, "a", 1)
    scene.topic.skip(0)
    scene.topic.skip(1)
    member = scene.member(0, 1)
    member.settle(10)
    assert scene.positions() == {0: 2, 1: 1}
    scene.topic.skip(0)
    scene.put(0, "b", 1)
    member.settle(10)
    assert scene.positions() == {0: 4, 1: 1}


def test_a_group_begins_at_the_oldest_message_that_is_left(scene):
    for user in range(3):
        scene.put(0, str(user), 1)
    scene.topic.delete_before(0, 2)
    member = scene.member(0)
    member.settle(10)
    assert set(scene.values()) == {("2", "1")}


def test_two_groups_read_the_same_messages(scene):
    scene.put(0, "a", 1)
    scene.poison(0)
    for group in ("one", "two"):
        scene.member(0, group=group).settle(10)
        assert scene.positions(group) == {0: 2}
    assert len(scene.tables.letters) == 2


def test_time_in_a_partition_never_runs_backwards(scene):
    member = scene.member(0)
    scene.put(0, "a", 1, milliseconds=START - 1_000)
    scene.put(0, "a", 2, milliseconds=START - 5_000)
    member.settle(10)
    scene.put(0, "b", 3, milliseconds=START - 9_000)
    member.settle(10)
    heir = scene.member()
    member.source.revoke(0)
    member.turns()
    heir.source.give(0)
    scene.put(0, "c", 4, milliseconds=START - 9_000)
    heir.settle(10)
    standing = scene.tables.ratings.standing()
    assert {key[3]: (rating.tenths, rating.written_at) for key, rating in standing.items()} == {
        "a": (20, (START - 1_000) * 1000),
        "b": (30, (START - 1_000) * 1000),
        "c": (40, (START - 1_000) * 1000),
    }


def test_time_never_runs_ahead_of_the_consumers_clock(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1, milliseconds=START + 86_400_000)
    scene.topic.append(1, put("b", 2))  # without a time
    member.settle(10)
    now = scene.clock.microseconds()
    written = {key[3]: rating.written_at for key, rating in scene.tables.ratings.standing().items()}
    assert START * 1000 <= written["a"] <= now
    assert START * 1000 <= written["b"] <= now

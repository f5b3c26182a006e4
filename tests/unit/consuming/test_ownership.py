"""Partitions that are given, revoked, lost and taken away: what was fetched of them counts once, whoever writes it."""

import pytest

from tests.unit.consuming.scene import START, take_from
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.errors import TakenOverRepeatedly
from workers.kafka.errors import BrokerUnavailable


def test_revoking_writes_the_batch_in_flight_and_the_one_being_built(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    member.submit()
    scene.put(0, "b", 2)
    scene.put(1, "c", 3)
    member.turns()
    member.source.revoke(0)
    member.turns()
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20, ("c", "1"): 30}
    assert scene.positions() == {0: 2, 1: 1}
    assert member.source.assigned == {1}


def test_kept_partitions_go_on_after_a_revocation_without_gap_or_double(scene):
    member = scene.member(0, 1)
    scene.put(1, "a", 1)
    member.submit()
    member.source.revoke(0)
    scene.put(1, "b", 2)
    scene.poison(1)
    member.settle(10)
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20}
    assert scene.positions() == {0: 0, 1: 3}
    assert scene.letters() == {(1, 2): 1}


def test_a_batch_that_loses_a_partition_is_written_again_without_it(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.submit()
    take_from(scene, 0)
    member.source.lose(0)
    member.settle(10)
    assert scene.values() == {("b", "1"): 20}
    assert scene.positions() == {0: 0, 1: 1}


def test_the_rest_of_a_refused_batch_is_computed_anew_from_its_events(scene):
    """The kept partition's own last write counts, though the lost partition's was later."""
    member = scene.member(0, 1)
    scene.put(0, "a", 9, milliseconds=START - 1)
    scene.put(1, "a", 2, milliseconds=START - 2)
    member.submit()
    take_from(scene, 0)
    member.settle(3)
    assert scene.values() == {("a", "1"): 20}


def test_a_batch_that_waits_for_the_store_is_repeated_without_a_lost_partition(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.submit()
    member.store.faults.append("before")
    member.executor.run_one()
    member.source.lose(0)
    member.settle(50)
    assert scene.positions() == {0: 0, 1: 1}


def test_lost_partitions_drop_what_was_being_built(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.turns()
    take_from(scene, 0)
    member.source.lose(0)
    member.settle(10)
    assert scene.values() == {("b", "1"): 20}
    assert "apply" in member.store.calls
    assert member.consumer.owned == {1: 1}


def test_a_revocation_that_cannot_be_flushed_in_time_leaves_the_events_to_the_next_owner(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.submit()
    member.executor.stuck = True
    member.source.revoke(0)
    before = scene.clock.now
    member.turns()
    assert scene.clock.now - before == pytest.approx(10, abs=0.2)
    heir = scene.member(0)
    member.executor.stuck = False
    member.settle(10)
    heir.settle(10)
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20}
    assert scene.positions() == {0: 1, 1: 1}


def test_a_take_over_that_fails_in_the_callback_starts_paused_and_is_made_up_for(scene):
    scene.put(0, "a", 1)
    member = scene.member()
    member.store.faults.extend(["before", "before", "after"])
    member.source.give(0)
    member.turns()
    assert member.source.paused == {0}
    assert member.consumer.owned == {}
    member.settle(100)
    assert member.source.paused == frozenset()
    assert scene.values() == {("a", "1"): 10}


def test_take_overs_that_waited_in_vain_do_not_happen_later(scene):
    """A database that was frozen and goes on would else fence, for each of them, whoever owns the partition by then."""
    member = scene.member()
    member.executor.stuck = True
    member.source.give(0)
    for _ in range(10):
        member.turns()
        scene.clock.sleep(10)
    member.source.lose(0)
    member.turns()
    heir = scene.member(0)
    member.executor.stuck = False
    member.settle(50)
    assert scene.tables.positions["rating", 0].epoch == 1  # the heir's
    heir.settle(50)


def test_a_topic_whose_first_offset_is_not_known_yet_is_waited_for(scene, monkeypatch):
    scene.put(0, "a", 1)
    member = scene.member()
    failures = [BrokerUnavailable(servers="x", timeout=5)] * 2
    first_offset = member.source.first_offset
    monkeypatch.setattr(
        member.source, "first_offset", lambda part: first_offset(part) if not failures else _raise(failures.pop())
    )
    member.source.give(0)
    member.turns()
    assert member.consumer.owned == {}
    member.settle(100)
    assert scene.values() == {("a", "1"): 10}


def test_messages_of_an_unclaimed_partition_are_dropped_and_fetched_again(scene):
    member = scene.member(0, 1)
    scene.put(1, "b", 1)
    member.submit()
    take_from(scene, 1)
    member.executor.run_one()  # refused
    scene.put(1, "c", 2)
    scene.put(0, "a", 3)
    member.turns()  # learns of it
    assert member.source.paused == {1}
    member.settle(100)
    assert scene.values() == {("a", "1"): 30, ("b", "1"): 10, ("c", "1"): 20}
    assert scene.tables.positions["rating", 1].epoch == 3


def test_a_fenced_partition_that_moved_on_is_read_from_where_it_stands(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    scene.put(0, "b", 2)
    member.submit()
    other = scene.member()
    other.source.give(0)
    other.settle(5)
    assert scene.positions() == {0: 2}
    scene.put(0, "c", 3)
    member.settle(100)
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20, ("c", "1"): 30}
    assert member.consumer.tally.applied == 1


def test_taking_over_again_waits_longer_each_time(scene):
    member = scene.member(0)
    waited = []
    for user in "abcd":
        scene.put(0, user, 1)
        member.submit()
        take_from(scene, 0)
        member.executor.run_one()
        member.turns()
        before = scene.clock.now
        while not member.consumer.owned:
            member.turns()
            scene.clock.sleep(0.01)
        waited.append(scene.clock.now - before)
    assert waited[-1] > 3 * waited[0] > 0


def be_taken_over(scene, member, *, times):
    for user in range(times):
        scene.put(0, str(user), 1)
        take_from(scene, 0)
        member.settle(60)


def test_the_sixth_time_in_a_minute_that_a_partition_is_taken_away_ends_the_process(scene):
    member = scene.member(0)
    with pytest.raises(TakenOverRepeatedly, match=r"taken from this consumer more than 5 times.*move_offsets"):
        be_taken_over(scene, member, times=10)
    assert scene.tables.positions["rating", 0].epoch == 1 + 6 + 5


def test_re_takes_that_the_store_did_not_answer_are_not_counted(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    take_from(scene, 0)
    member.submit()
    member.executor.run_one()
    member.turns()  # refused
    member.store.faults.extend(["before"] * 12)
    member.settle(400)
    assert not member.store.faults
    assert scene.values() == {("a", "1"): 10}


def test_as_many_in_more_than_a_minute_do_not(scene):
    member = scene.member(0)
    for user in range(10):
        scene.put(0, str(user), 1)
        take_from(scene, 0)
        member.settle(60)
        scene.clock.sleep(60)
    assert len(scene.values()) == 10


@pytest.mark.parametrize("is_taken_at_once", [False, True])
def test_a_partition_that_is_revoked_and_given_back_within_one_fetch_is_read_from_where_it_stands(
    scene, is_taken_at_once
):
    """What the same fetch had collected before is of the time before, and would leave a gap."""
    member = scene.member(0, limits=BatchLimits(messages=1_000), flush_seconds=1)
    scene.put(0, "a", 1)
    member.turns()
    if is_taken_at_once:
        member.store.unprepared = 10_000
    else:
        member.store.faults.extend(["before"] * 10_000)
    scene.put(0, "b", 2)
    scene.topic.skip(0)
    member.source.revoke(0)
    member.source.give(0)
    member.turns()
    member.store.faults.clear()
    member.store.unprepared = 0
    scene.clock.sleep(10)
    member.settle(100)
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20}
    assert scene.positions() == {0: 3}


def test_a_partition_that_came_back_is_not_dropped_for_the_fence_of_its_former_batch(scene):
    member = scene.member(0, flush_seconds=1)
    scene.put(0, "a", 1)
    member.submit()
    member.store.faults.extend([None] + ["before"] * 1_000)
    member.executor.stuck = True
    member.source.revoke(0)
    member.turns()
    member.store.faults.clear()
    take_from(scene, 0)
    member.executor.stuck = False
    member.source.give(0)
    member.settle(100)
    assert scene.values() == {("a", "1"): 10}
    assert scene.tables.positions["rating", 0].epoch == 3  # taken when given, and not once more


def _raise(error):
    raise error

"""The consume loop, path by path: rebalances, fences, outages and their worst moments."""

import pytest

from tests.unit.ingestion.scene import START, Scene, delete, put
from workers.ingestion.consumer import BatchLimits
from workers.ingestion.errors import StoreNotReady, TakenOverRepeatedly
from workers.ingestion.memory import InMemoryStore
from workers.kafka.errors import OffsetNotAvailable


@pytest.fixture
def scene():
    return Scene()


def take_from(scene, *partitions, group="rating"):
    """What another owner does in the store."""
    return InMemoryStore(scene.tables, group=group).take(partitions, first_offset=scene.topic.first)


def hold_delivery(scene):
    """A member with one batch in a writer that is stuck and the next one full."""
    member = scene.member(0, limits=BatchLimits(messages=2))
    scene.put(0, "a", 1)
    scene.put(0, "b", 1)
    member.submit()
    member.executor.stuck = True
    scene.put(0, "c", 1)
    scene.put(0, "d", 1)
    member.turns(2)
    assert member.source.paused == {0}
    return member


def test_events_letters_and_positions_arrive_together(scene):
    scene.put(0, "a", 4)
    scene.poison(0)
    scene.topic.append(1, delete("b"), milliseconds=START)
    member = scene.member(0, 1)
    member.settle(10)
    assert scene.values() == {("a", "1"): 40, ("b", "1"): None}
    assert scene.letters() == {(0, 1): 1}
    assert scene.positions() == {0: 2, 1: 1}
    assert member.source.committed == {0: 2, 1: 1}
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


def test_a_store_that_is_away_while_a_partition_is_revoked_loses_nothing(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.submit()
    member.store.faults.extend(["before"] * 100)
    member.source.revoke(0)
    member.turns()
    member.store.faults.clear()
    heir = scene.member(0)
    heir.settle(5)
    member.settle(200)
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20}


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
    assert scene.tables.positions["rating", 0].epoch == 2  # the heir's, and the one that had begun
    heir.settle(50)


def test_a_topic_whose_first_offset_is_not_known_yet_is_waited_for(scene, monkeypatch):
    from workers.kafka.errors import BrokerUnavailable

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


def test_the_sixth_time_in_a_minute_that_a_partition_is_taken_away_ends_the_process(scene):
    member = scene.member(0)
    with pytest.raises(TakenOverRepeatedly, match="taken from this consumer more than 5 times"):
        be_taken_over(scene, member, times=10)
    assert scene.tables.positions["rating", 0].epoch == 1 + 6 + 5


def be_taken_over(scene, member, *, times):
    for user in range(times):
        scene.put(0, str(user), 1)
        take_from(scene, 0)
        member.settle(60)


def test_as_many_in_more_than_a_minute_do_not(scene):
    member = scene.member(0)
    for user in range(10):
        scene.put(0, str(user), 1)
        take_from(scene, 0)
        member.settle(60)
        scene.clock.sleep(60)
    assert len(scene.values()) == 10


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 6))
def test_each_call_may_fail_before_or_after_it_had_its_effect(scene, fault, call):
    member = scene.member()
    for user in range(3):
        scene.put(0, str(user), user)
    scene.poison(1)
    member.store.faults.extend([None] * (call - 1) + [fault, fault])
    member.source.give(0, 1)
    member.settle(50)
    scene.put(0, "late", 5)
    scene.poison(1)
    for _ in range(5):
        member.consumer.positions()
        member.settle(50)
    assert scene.values() == {("0", "1"): 0, ("1", "1"): 10, ("2", "1"): 20, ("late", "1"): 50}
    assert scene.letters() == {(1, 0): 1, (1, 1): 1}
    assert scene.positions() == {0: 4, 1: 2}
    assert not member.store.faults
    assert member.consumer.waiting_for is None


def test_after_a_lost_answer_the_rest_of_a_batch_is_neither_lost_nor_written_twice(scene):
    """The commit happened, its answer was lost, and one of the partitions has a new owner before the repeat."""
    member = scene.member(0, 1)
    scene.poison(0)
    scene.poison(1)
    member.submit()
    member.store.faults.append("after")
    member.executor.run_one()
    take_from(scene, 0)
    member.source.lose(0)
    member.settle(100)
    assert scene.letters() == {(0, 0): 1, (1, 0): 1}
    assert scene.positions() == {0: 1, 1: 1}


def test_an_outage_is_waited_out_and_told(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    member.store.faults.extend(["before"] * 8)
    before = scene.clock.now
    member.submit()
    member.executor.run_one()
    member.turns(2)
    assert member.consumer.waiting_for == "the connection was refused"
    assert member.consumer.positions() is None
    member.settle(700)
    assert member.consumer.waiting_for is None
    assert scene.values() == {("a", "1"): 10}
    assert scene.clock.now - before > 5
    assert member.store.calls.count("apply") == 9


def test_an_outage_makes_no_dead_letters(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    member.store.faults.extend(["before"] * 5)
    member.settle(500)
    assert scene.letters() == {}


def test_a_missing_table_ends_the_process(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    member.store.faults.append(StoreNotReady("run migrate"))
    with pytest.raises(StoreNotReady):
        member.settle(10)


def test_a_missing_table_at_the_take_over_ends_the_process_though_a_callback_never_raises(scene):
    member = scene.member()
    member.store.faults.extend([StoreNotReady("run migrate")] * 2)
    member.source.give(0)
    member.turns()
    with pytest.raises(StoreNotReady):
        member.turns()


def test_a_full_batch_behind_a_slow_store_stops_delivery_and_goes_on_polling(scene):
    member = hold_delivery(scene)
    before = scene.clock.now
    scene.put(0, "late", 1)
    member.turns(20)
    assert scene.clock.now - before > 20 * 0.4  # no busy loop: each turn waits for the store
    assert member.source.paused == {0}
    assert member.consumer._building.messages == 2
    member.source.revoke(1)  # polling goes on: a rebalance gets through
    member.turns()
    member.executor.stuck = False
    member.settle(50)
    assert member.source.paused == frozenset()
    assert len(scene.values()) == 5


def test_a_full_batch_behind_an_absent_store_stops_delivery_and_goes_on_polling(scene):
    member = scene.member(0, limits=BatchLimits(messages=2))
    scene.put(0, "a", 1)
    scene.put(0, "b", 1)
    member.submit()
    member.store.faults.extend(["before"] * 6)
    scene.put(0, "c", 1)
    scene.put(0, "d", 1)
    before, turns = scene.clock.now, 0
    while member.store.faults:
        member.executor.run_one()
        member.turns()
        turns += 1
    assert member.source.paused == {0}
    assert 10 < turns <= (scene.clock.now - before) / 0.05 + 10  # no busy loop: each turn waits for Kafka
    member.settle(200)
    assert len(scene.values()) == 4


def test_a_batch_is_full_by_bytes_too(scene):
    member = scene.member(0, limits=BatchLimits(messages=1_000, bytes=200, seconds=1_000))
    for user in range(3):
        scene.put(0, str(user), 1)
    member.turns(3)
    assert member.consumer._writer.is_writing


def test_partitions_assigned_while_delivery_is_stopped_are_read_once_it_goes_on(scene):
    member = hold_delivery(scene)
    scene.put(1, "x", 1)
    member.store.faults.append("before")  # the batch in flight waits for its repeat
    member.executor.stuck = False
    member.executor.run_one()
    member.source.give(1)
    member.turns(2)
    assert member.consumer.owned == {0: 2, 1: 0}
    assert member.source.paused == {0, 1}
    member.settle(100)
    assert len(scene.values()) == 5


def test_run_writes_what_it_fetched_and_gives_the_partitions_back(scene):
    member = scene.member()
    member.source.give(0, 1)
    for user in range(5):
        scene.put(0, str(user), 1)
    turns = iter([False, False, True])
    member.consumer.run(lambda: next(turns))
    assert len(scene.values()) == 5
    assert member.source.committed == {0: 5}
    assert member.source.assigned == frozenset()


def test_a_stop_while_the_store_is_away_ends_after_the_flush_time(scene):
    member = scene.member(flush_seconds=3)
    scene.put(0, "a", 1)
    member.source.give(0)
    turns = iter([False, True])
    member.store.faults.extend([None] + ["before"] * 1000)
    before = scene.clock.now
    member.consumer.run(lambda: next(turns))
    assert scene.clock.now - before == pytest.approx(3, abs=0.5)
    assert scene.values() == {}
    assert scene.positions() == {0: 0}


def test_an_error_that_ends_the_loop_gives_the_partitions_back_without_writing(scene):
    scene.put(0, "a", 1)
    member = scene.member(0)
    scene.topic.delete_before(1, 5)
    member.source.give(1)
    scene.tables.positions.clear()
    InMemoryStore(scene.tables).take([1], first_offset=lambda _: 0)
    with pytest.raises(OffsetNotAvailable):
        member.consumer.run(lambda: False)
    assert member.source.assigned == frozenset()
    assert scene.values() == {}


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


def test_a_partition_that_is_revoked_and_given_back_within_one_fetch_is_read_from_where_it_stands(scene):
    """What the same fetch had collected before is of the time before, and would leave a gap."""
    member = scene.member(0, limits=BatchLimits(messages=1_000), flush_seconds=1)
    scene.put(0, "a", 1)
    member.turns()
    member.store.faults.extend(["before"] * 10_000)
    scene.put(0, "b", 2)
    scene.topic.skip(0)
    member.source.revoke(0)
    member.source.give(0)
    member.turns()
    member.store.faults.clear()
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


def _raise(error):
    raise error

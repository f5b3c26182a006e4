"""A store that is away, slow, or loses its answer: the loop waits, goes on, and writes everything once."""

import logging

import pytest
from structlog.testing import capture_logs

from tests.unit.consuming.scene import take_from
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.errors import StoreNotReady
from workers.kafka.errors import BrokerUnavailable


def kafka_is_away():
    raise BrokerUnavailable(servers="127.0.0.1:1", timeout=5, reason="connection refused")


def hold_delivery(scene):
    """A member with one batch in a writer that is stuck, one that waits, and the next one full."""
    member = scene.member(0, limits=BatchLimits(messages=2))
    scene.put(0, "a", 1)
    scene.put(0, "b", 1)
    member.submit()
    member.executor.stuck = True
    for user in "cdef":
        scene.put(0, user, 1)
        member.turns()
    member.turns(2)
    assert member.source.paused == {0}
    return member


def test_a_store_that_says_nothing_is_told_once_and_for_how_long(scene):
    logging.getLogger("workers").setLevel(logging.WARNING)
    member = hold_delivery(scene)
    said = []
    for member.store.silent in (9.9, 10.2, 60.4):
        with capture_logs() as lines:
            member.turns(2)
        said.append((member.consumer.waiting_for, [line["seconds"] for line in lines]))
    assert said == [
        (None, []),
        ("the database has not answered for 10 s", [10]),
        ("the database has not answered for 60 s", []),
    ]
    member.store.silent = 0.0
    member.executor.stuck = False
    member.settle(50)
    assert member.consumer.waiting_for is None
    assert len(scene.values()) == 6


def test_what_was_handed_over_is_not_settled_before_it_is_written(scene):
    member = hold_delivery(scene)
    assert (member.consumer.owned, member.consumer.settled) == ({0: 4}, {0: 0})
    member.executor.stuck = False
    member.executor.run_one()
    member.turns()
    assert member.consumer.settled == {0: 2}
    member.settle(50)
    assert member.consumer.settled == {0: 6}


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


def test_a_full_batch_behind_a_slow_store_stops_delivery_and_goes_on_polling(scene):
    member = hold_delivery(scene)
    before = scene.clock.now
    scene.put(0, "late", 1)
    member.turns(20)
    assert scene.clock.now - before > 20  # no busy loop: each turn waits for the store
    assert member.source.paused == {0}
    assert member.consumer._building.messages == 2
    member.source.revoke(1)  # polling goes on: a rebalance gets through
    member.turns()
    member.executor.stuck = False
    member.settle(50)
    assert member.source.paused == frozenset()
    assert len(scene.values()) == 7


def test_a_full_batch_behind_an_absent_store_stops_delivery_and_goes_on_polling(scene):
    member = scene.member(0, limits=BatchLimits(messages=2))
    scene.put(0, "a", 1)
    scene.put(0, "b", 1)
    member.submit()
    member.store.faults.extend(["before"] * 6)
    for user in "cdef":
        scene.put(0, user, 1)
        member.turns()
    before, turns = scene.clock.now, 0
    while member.store.faults:
        member.executor.run_one()
        member.turns()
        turns += 1
    assert member.source.paused == {0}
    assert 10 < turns <= (scene.clock.now - before) / 0.05 + 10  # no busy loop: each turn waits for Kafka
    member.settle(200)
    assert len(scene.values()) == 6


def test_partitions_assigned_while_delivery_is_stopped_are_read_once_it_goes_on(scene):
    member = hold_delivery(scene)
    scene.put(1, "x", 1)
    member.store.faults.append("before")  # the batch in flight waits for its repeat
    member.executor.stuck = False
    member.executor.run_one()
    member.source.give(1)
    member.turns(2)
    assert member.consumer.owned == {0: 4, 1: 0}
    assert member.source.paused == {0, 1}
    member.settle(100)
    assert len(scene.values()) == 7


def test_a_stop_while_the_store_is_away_ends_after_the_flush_time(scene):
    member = scene.member(flush_seconds=3)
    scene.put(0, "a", 1)
    member.source.give(0)
    turns = iter([False, True])
    member.store.faults.extend([None] * 3 + ["before"] * 1000)
    before = scene.clock.now
    member.consumer.run(lambda: next(turns))
    assert scene.clock.now - before == pytest.approx(3, abs=0.5)
    assert member.store.ends_within == 5
    assert scene.values() == {}
    assert scene.positions() == {0: 0}


@pytest.mark.parametrize(("is_stopping", "waited"), [(True, 0), (False, 3)])
def test_a_stop_without_kafka_leaves_what_nobody_can_vouch_for(scene, monkeypatch, is_stopping, waited):
    member = scene.member(0, flush_seconds=3)
    scene.put(0, "a", 1)
    monkeypatch.setattr(member.consumer._writer, "_check", kafka_is_away)
    member.submit()
    member.settle(2)
    assert member.consumer.waiting_for.startswith("No Kafka broker")
    member.consumer._stopping.wish = lambda: is_stopping
    before = scene.clock.now
    member.consumer._flush()
    assert scene.clock.now - before == pytest.approx(waited, abs=0.5)
    assert scene.positions() == {0: 0}


def test_a_stop_while_a_take_over_waits_for_the_store_waits_no_longer(scene):
    member = scene.member()
    member.source.give(0)
    asked = scene.clock.now + 3
    turns = iter([False, True])

    def finished():
        member.executor.stuck = True  # from the take-over on
        return next(turns)

    member.consumer.run(finished, is_stopping=lambda: scene.clock.now >= asked)
    assert scene.clock.now - asked < 1
    assert member.store.ends_within == 5


def test_a_stop_while_a_partition_is_revoked_gives_a_silent_store_the_flush_time_once(scene):
    member = scene.member(0, 1, flush_seconds=10)
    scene.put(0, "a", 1)
    member.submit()
    member.executor.stuck = True
    scene.put(1, "b", 1)
    member.source.revoke(0)
    asked = scene.clock.now + 4
    member.consumer._stopping.wish = lambda: scene.clock.now >= asked
    member.turns()  # flushes in vain
    member.consumer._flush()
    assert scene.clock.now - asked == pytest.approx(10, abs=1)


def test_a_consumer_joins_the_group_only_once_its_store_answers(scene, monkeypatch):
    member = scene.member()
    joins = []
    monkeypatch.setattr(member.source, "join", lambda listener: joins.append(list(member.store.faults)))
    member.store.faults.extend(["before"] * 5)
    member.consumer.run(lambda: bool(joins))
    assert joins == [[]]


def test_a_stop_before_the_store_answers_ends_a_consumer_that_waits(scene):
    member = scene.member()
    member.store.faults.extend(["before"] * 1000)
    ends = scene.clock.now + 20
    member.consumer.run(lambda: scene.clock.now > ends)
    assert member.consumer.owned == {}
    assert member.consumer.waiting_for is not None

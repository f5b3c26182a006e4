"""What each delivery promises, one moment of trouble at a time."""

import pytest
from structlog.testing import capture_logs

from tests.unit.consuming.scene import START, take_from
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import StoreNotReady
from workers.kafka.errors import BrokerUnavailable, LogUnreadable, OffsetNotAvailable, TopicMadeAnew
from workers.kafka.group import Commit, NotCommitted

AT_LEAST, AT_MOST = Delivery.AT_LEAST_ONCE, Delivery.AT_MOST_ONCE


def test_at_most_once_tells_kafka_before_it_writes(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.submit()
    assert (scene.committed(), scene.values()) == ({0: 1}, {})
    member.settle(10)
    assert (scene.values(), scene.skipped()) == ({("a", "1"): 10}, 0)


@pytest.mark.parametrize("delivery", [Delivery.EXACTLY_ONCE, AT_LEAST])
def test_the_others_tell_kafka_after_they_have_written(scene, delivery):
    member = scene.member(0, delivery=delivery)
    scene.put(0, "a", 1)
    member.submit()
    member.executor.run_one()
    assert (scene.committed(), scene.values()) == ({}, {("a", "1"): 10})
    member.turns()
    assert scene.committed() == {0: 1}


@pytest.mark.parametrize(("fault", "stands", "skipped"), [("before", {}, 1), ("after", {("a", "1"): 10}, 0)])
def test_at_most_once_never_repeats_a_write_and_counts_what_was_not_written(scene, fault, stands, skipped):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.submit()
    member.store.faults.append(fault)
    member.settle(100)
    assert (scene.values(), scene.skipped(), member.consumer.tally.skipped) == (stands, skipped, skipped)
    scene.put(0, "b", 2)
    member.settle(10)
    assert scene.values() == {**stands, ("b", "1"): 20}
    assert scene.positions() == {0: 2}


def test_at_most_once_waits_for_an_absent_store_and_loses_one_batch_of_all(scene):
    member = scene.member(0, limits=BatchLimits(messages=2), delivery=AT_MOST)
    scene.put(0, "a", 1)
    scene.put(0, "b", 1)
    member.submit()
    member.store.faults.extend(["before"] * 30)
    for user in range(40):
        scene.put(0, str(user), 1)
    member.settle(60)
    assert member.store.faults
    assert scene.committed() == {0: 2}
    member.settle(3_000)
    assert (len(scene.values()), scene.skipped()) == (40, 2)


def test_at_most_once_loses_one_batch_of_each_member_to_a_store_that_answers_and_writes_nothing(scene):
    members = [scene.member(partition, limits=BatchLimits(messages=5), delivery=AT_MOST) for partition in (0, 1)]
    for member in members:
        member.store.writes_nothing = True
    for number in range(200):
        scene.put(number % 2, str(number), 1)
        if number % 10 == 9:
            for member in members:
                member.settle(50)
    most = sum(member.consumer._limits.messages for member in members)
    assert 0 < scene.skipped() <= sum(scene.committed().values()) <= most
    assert all(3 < member.store.calls.count("try_out") < 60 for member in members)  # less often with every time
    assert members[0].consumer.waiting_for == "no space left"
    for member in members:
        member.store.writes_nothing = False
        member.settle(400)
        tried = member.store.calls.count("try_out")
        scene.put(0, "late", 1)
        member.settle(20)
        assert member.store.calls.count("try_out") == tried  # no longer than until one was written
        assert member.consumer.waiting_for is None
    assert len(scene.values()) + scene.skipped() == 201
    assert scene.skipped() <= most


def test_at_most_once_tries_a_batch_out_anew_when_the_store_went_away_after_the_trial(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.submit()
    member.store.faults.append("before")
    member.settle(20)
    scene.put(0, "b", 1)
    while "try_out" not in member.store.calls:
        member.settle(1)
    member.store.faults.append("before")  # when it is asked, between the trial and the commit
    member.store.writes_nothing = True
    member.settle(200)
    assert scene.committed() == {0: 1}
    member.store.writes_nothing = False
    member.settle(200)
    assert (set(scene.values()), scene.skipped()) == ({("b", "1")}, 1)


def stop(member):
    member.consumer._stopping.wish = lambda: True
    with capture_logs() as lines:
        member.consumer._flush()
    return [(line["messages"], line["lost_at_most"]) for line in lines if line["event"] == "left_unwritten"]


def fill_both_places(scene, delivery):
    """A member with three messages in flight, three waiting and two that are put into a batch."""
    member = scene.member(0, limits=BatchLimits(messages=3), delivery=delivery, flush_seconds=4)
    for user in "abc":
        scene.put(0, user, 1)
    member.submit()
    for user in "defgh":
        scene.put(0, user, 1)
    member.executor.stuck = True
    member.turns(4)
    assert member.consumer._writer.waiting is not None
    return member


def test_a_stop_after_a_write_that_failed_begins_no_further_batch_of_at_most_once(scene):
    member = fill_both_places(scene, AT_MOST)
    member.executor.stuck = False
    member.store.writes_nothing = True
    assert stop(member) == [(5, 0)]
    assert (scene.committed(), scene.skipped()) == ({0: 3}, 3)


def test_a_stop_with_little_time_left_begins_no_further_batch_of_at_most_once(scene):
    member = fill_both_places(scene, AT_MOST)
    member.executor.stuck = False
    member.consumer._stopping.look()
    member.consumer._stopping._since = scene.clock.now - 2.5
    assert stop(member) == [(5, 0)]
    assert (scene.committed(), scene.skipped(), len(scene.values())) == ({0: 3}, 0, 3)


def test_a_stop_with_time_left_writes_all_that_was_fetched(scene):
    member = fill_both_places(scene, AT_MOST)
    member.executor.stuck = False
    assert stop(member) == []
    assert (scene.committed(), scene.skipped(), len(scene.values())) == ({0: 8}, 0, 8)


@pytest.mark.parametrize("delivery", Delivery)
def test_a_stop_tells_of_all_that_is_left_and_of_what_at_most_once_may_have_lost(scene, delivery):
    member = fill_both_places(scene, delivery)
    assert stop(member) == [(8, 3 if delivery == AT_MOST else 0)]


def test_a_stop_tells_what_was_lost_when_not_even_that_can_be_noted(scene):
    member = fill_both_places(scene, AT_MOST)
    member.executor.stuck = False
    member.store.faults.extend(["before"] * 100)
    assert stop(member) == [(8, 3)]


def test_at_most_once_asks_whether_the_store_answers_before_it_begins_a_batch(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.store.faults.extend(["before"] * 3)
    member.turns()
    scene.clock.sleep(1)
    member.turns(2)
    assert scene.committed() == {}
    member.settle(100)
    assert (scene.values(), scene.skipped()) == ({("a", "1"): 10}, 0)


def test_at_most_once_loses_nothing_to_a_store_that_went_away_before_the_batch(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.turns()
    member.store.faults.extend(["before"] * 3)
    member.settle(100)
    assert not member.store.faults
    assert (scene.values(), scene.skipped()) == ({("a", "1"): 10}, 0)


def test_at_most_once_begins_no_batch_that_cannot_be_prepared(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.store.unprepared = 3
    member.turns()
    scene.clock.sleep(1)
    member.turns(2)
    assert scene.committed() == {}
    member.settle(100)
    assert (scene.values(), scene.skipped()) == ({("a", "1"): 10}, 0)


def test_at_most_once_that_stops_without_kafka_begins_no_batch(scene, monkeypatch):
    """A commit that nobody answers would have to be taken for done; what is not begun, the next start reads."""
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.turns()

    def committed(_):
        raise BrokerUnavailable(servers="x", timeout=5.0)

    monkeypatch.setattr(member.source, "committed", committed)
    member.source.commit_fault = NotCommitted(unknown=frozenset({0}))
    member.consumer.run(lambda: True, is_stopping=lambda: True)
    assert scene.skipped() == 0
    scene.member(0, delivery=AT_MOST).settle(100)
    assert (scene.values(), scene.skipped()) == ({("a", "1"): 10}, 0)


def test_at_most_once_leaves_what_kafka_refuses_to_whoever_owns_it(scene):
    member = scene.member(0, 1, delivery=AT_MOST)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.source.commit_fault = NotCommitted(refused=frozenset({0}))
    member.submit()
    member.executor.run_one()
    assert scene.values() == {("b", "1"): 20}
    member.settle(100)
    assert (scene.values(), scene.skipped()) == ({("a", "1"): 10, ("b", "1"): 20}, 0)


def test_at_most_once_skips_what_nobody_knows_to_be_committed(scene):
    member = scene.member(0, 1, delivery=AT_MOST)
    scene.put(0, "a", 1)
    scene.put(1, "b", 2)
    member.source.commit_fault = NotCommitted(unknown=frozenset({0}))
    member.settle(100)
    assert (scene.values(), scene.skipped()) == ({("b", "1"): 20}, 1)
    assert scene.positions() == {0: 1, 1: 1}


@pytest.mark.parametrize("delivery", Delivery)
def test_a_database_that_is_not_as_it_must_be_costs_no_delivery_the_batch_in_hand(scene, delivery):
    """At-most-once has told Kafka of it: nothing was written, so that can be taken back."""
    member = scene.member(0, delivery=delivery)
    scene.put(0, "a", 1)
    member.submit()
    member.store.faults.append(StoreNotReady("run migrate"))
    with pytest.raises(StoreNotReady, match=r"^run migrate$"):
        member.settle(10)
    member.source.lose(0)
    scene.member(0, delivery=delivery).settle(10)
    assert (scene.values(), scene.skipped(), scene.committed()) == ({("a", "1"): 10}, 0, {0: 1})


def test_at_most_once_tells_what_is_lost_when_the_database_does_not_let_it_take_that_back(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.submit()
    member.store.faults.extend([StoreNotReady("run migrate")] * 2)
    with pytest.raises(StoreNotReady, match=r"^run migrate\..* passes over 1 messages of partitions \[0\]"):
        member.settle(10)
    scene.member(0, delivery=AT_MOST).settle(10)
    assert (scene.values(), scene.skipped()) == ({}, 1)


@pytest.mark.parametrize("delivery", Delivery)
def test_what_a_killed_member_had_begun_is_up_to_the_delivery(scene, delivery):
    dying = scene.member(0, delivery=delivery)
    scene.put(0, "a", 1)
    dying.submit()
    heir = scene.member(0, delivery=delivery)
    scene.put(0, "b", 2)
    heir.settle(10)
    lost = delivery == AT_MOST
    assert scene.values() == {("b", "1"): 20} if lost else {("a", "1"): 10, ("b", "1"): 20}
    assert scene.skipped() == (1 if lost else 0)


def test_at_least_once_reads_again_what_was_written_and_not_told_to_kafka(scene):
    dying = scene.member(0, delivery=AT_LEAST)
    scene.put(0, "a", 1)
    dying.settle(10)
    scene.put(0, "b", 2)
    scene.poison(0)
    dying.submit()
    dying.executor.run_one()
    scene.member(0, delivery=AT_LEAST).settle(10)
    assert scene.values() == {("a", "1"): 10, ("b", "1"): 20}
    assert scene.letters() == {(0, 2): 2}


@pytest.mark.parametrize("delivery", Delivery)
def test_a_zombie_writes_nothing_in_any_delivery(scene, delivery):
    zombie = scene.member(0, delivery=delivery)
    scene.put(0, "a", 1)
    zombie.submit()
    take_from(scene, 0)
    zombie.executor.run_one()
    assert scene.values() == {}


@pytest.mark.parametrize("delivery", [AT_LEAST, AT_MOST])
def test_an_operator_who_moves_the_position_wins_over_what_kafka_was_told(scene, delivery):
    member = scene.member(0, delivery=delivery)
    for user in "abc":
        scene.put(0, user, 1)
    member.settle(10)
    position = scene.tables.positions["rating", 0]
    position.epoch, position.next_offset = position.epoch + 1, 1
    scene.tables.ratings._standing.clear()
    scene.put(0, "d", 1)
    member.settle(200)
    assert set(scene.values()) == {("b", "1"), ("c", "1"), ("d", "1")}


@pytest.mark.parametrize("before", Delivery)
@pytest.mark.parametrize("after", Delivery)
def test_another_delivery_goes_on_where_the_group_was(scene, before, after):
    member = scene.member(0, delivery=before)
    scene.put(0, "a", 1)
    member.settle(10)
    member.source.revoke(0)
    member.turns()
    scene.tables.ratings._standing.clear()
    scene.put(0, "b", 2)
    scene.member(0, delivery=after).settle(10)
    assert scene.values() == {("b", "1"): 20}
    assert scene.tables.positions["rating", 0].delivery == after


def test_a_change_from_at_most_once_does_not_apply_what_had_been_begun(scene):
    dying = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    dying.submit()
    scene.member(0).settle(10)
    assert (scene.values(), scene.skipped()) == ({}, 1)


def test_a_commit_of_exactly_once_is_never_read_back(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    member.settle(10)
    scene.topic.commits["rating"][0] = Commit(0, epoch=1)
    scene.put(0, "b", 1)
    scene.member(0, delivery=AT_LEAST).settle(10)
    assert scene.positions() == {0: 2}


def test_at_most_once_leaves_what_it_has_not_begun_to_the_next_owner_when_it_must_let_go(scene):
    """In a rebalance Kafka's client takes commits from one thread only, which must not wait for ever."""
    member = fill_both_places(scene, AT_MOST)
    member.executor.stuck = False
    member.source.revoke(0)
    with capture_logs() as lines:
        member.turns()
    assert scene.committed() == scene.positions() == {0: 3}
    assert "left_unwritten" not in [line["event"] for line in lines]
    scene.member(0, delivery=AT_MOST).settle(20)
    assert (len(scene.values()), scene.skipped()) == (8, 0)


def test_a_store_that_is_back_is_told_though_it_was_doubted_meanwhile(scene):
    member = scene.member(0, delivery=AT_MOST)
    scene.put(0, "a", 1)
    member.submit()
    member.store.faults.append("before")
    with capture_logs() as lines:
        member.settle(100)
        scene.put(0, "b", 1)
        member.settle(100)
    said = [line["event"] for line in lines]
    assert (said.count("store_unavailable"), said.count("store_is_back")) == (1, 1)


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize(
    "ending",
    [
        LogUnreadable(topic="t", partition=0, code="_BAD_MSG", reason="for a test"),
        OffsetNotAvailable(topic="t", partition=0, wanted=3, there=None),
    ],
)
def test_what_was_read_before_the_log_ends_is_applied(scene, monkeypatch, delivery, ending):
    member = scene.member(0, delivery=delivery)
    for user in "abc":
        scene.put(0, user, 1)
    fetch, fetched = member.source.fetch, []

    def fetch_once(**limits):
        if fetched:
            raise ending
        fetched.append(fetch(**limits))
        return fetched[0]

    monkeypatch.setattr(member.source, "fetch", fetch_once)
    with pytest.raises(type(ending)):
        member.consumer.run(lambda: False)
    assert (len(scene.values()), scene.positions()) == (3, {0: 3})


@pytest.mark.parametrize("delivery", Delivery)
def test_nothing_of_a_topic_made_anew_is_applied(scene, delivery):
    member = scene.member(0, delivery=delivery)
    scene.put(0, "a", 1)
    member.settle(10)
    scene.topic.make_anew(2)
    for user in "xyz":
        scene.put(0, user, 1)
    with pytest.raises(TopicMadeAnew, match="made anew"):
        member.settle(100)
    assert scene.values() == {("a", "1"): 10}
    assert scene.committed() == scene.positions() == {0: 1}


def test_a_topic_made_anew_is_noticed_though_nothing_comes(scene):
    member = scene.member(0)
    scene.topic.make_anew(2)
    with pytest.raises(TopicMadeAnew):
        member.settle(200)


def test_a_batch_is_checked_again_when_its_write_is_repeated(scene):
    member = scene.member(0)
    scene.put(0, "a", 1, milliseconds=START)
    member.submit()
    member.store.faults.append("before")
    scene.topic.make_anew(2)
    scene.put(0, "x", 1)
    with pytest.raises(TopicMadeAnew):
        member.settle(100)
    assert scene.values() == {}

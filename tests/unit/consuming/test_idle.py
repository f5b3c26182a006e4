"""A consumer with nothing to write: no write of it is refused, so it asks who owns its partitions."""

import pytest

from tests.unit.consuming.scene import take_from
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import StoreNotReady, TakenOverRepeatedly


def caught_up(scene, **more):
    """A member that has read and written all there is."""
    member = scene.member(0, 1, **more)
    for user in "abc":
        scene.put(0, user, 1)
    scene.put(1, "d", 1)
    member.settle(20)
    assert scene.positions() == {0: 3, 1: 1}
    return member


def move(scene, offset):
    """What `move_offsets` does to partition 0."""
    position = scene.tables.positions["rating", 0]
    position.epoch, position.next_offset, position.latest_time = position.epoch + 1, offset, 0


def looks(member):
    return member.store.calls.count("epochs")


@pytest.mark.parametrize("delivery", Delivery)
def test_a_move_is_noticed_though_no_message_comes(scene, delivery):
    member = caught_up(scene, delivery=delivery)
    scene.tables.ratings._standing.clear()
    move(scene, 1)
    before = scene.clock.now
    while not scene.values():
        member.settle(1)
        assert scene.clock.now - before < 3
    member.settle(20)
    assert set(scene.values()) == {("b", "1"), ("c", "1")}
    assert scene.positions() == {0: 3, 1: 1}
    assert {partition: row.epoch for (_, partition), row in scene.tables.positions.items()} == {0: 3, 1: 1}


def test_it_asks_once_a_second(scene):
    member = caught_up(scene)
    asked, before = looks(member), scene.clock.now
    member.settle(200)
    assert 0.7 < (looks(member) - asked) / (scene.clock.now - before) <= 1


def test_it_does_not_wait_for_the_answer(scene):
    member = caught_up(scene)
    member.executor.stuck = True
    before, asked = scene.clock.now, looks(member)
    member.turns(100)
    assert scene.clock.now - before == pytest.approx(100 * 0.05)
    assert looks(member) == asked
    member.executor.stuck = False
    member.settle(1)
    assert looks(member) == asked + 1  # one question at a time


def test_it_asks_nothing_while_there_is_something_to_write(scene):
    member = caught_up(scene)
    member.settle(40)
    member.executor.run_one()
    member.turns()
    asked = looks(member)
    for _ in range(50):
        scene.put(0, "e", 2)
        member.turns()
        scene.clock.sleep(1)
        member.executor.run_one()
    assert looks(member) == asked


def test_a_store_that_is_away_is_told_and_waited_for(scene):
    member = caught_up(scene)
    member.store.faults.append("before")
    member.settle(40)
    assert member.consumer.waiting_for == "the connection was refused"
    member.store.faults.clear()
    member.settle(200)
    assert member.consumer.waiting_for is None
    assert member.consumer.owned == {0: 3, 1: 1}
    scene.put(0, "e", 2)
    member.settle(20)
    assert scene.positions() == {0: 4, 1: 1}


def test_a_missing_table_ends_the_process(scene, monkeypatch):
    member = caught_up(scene)

    def epochs():
        raise StoreNotReady("run migrate")

    monkeypatch.setattr(member.store.store, "epochs", epochs)
    with pytest.raises(StoreNotReady):
        member.settle(40)


def test_an_answer_about_what_was_taken_anew_since_takes_nothing_away(scene):
    member = caught_up(scene)
    scene.clock.sleep(1)
    member.turns()  # asks
    take_from(scene, 0)
    member.source.lose(0)
    member.turns()
    member.source.give(0)
    member.turns()
    member.settle(100)
    assert member.consumer.owned == {0: 3, 1: 1}
    assert scene.tables.positions["rating", 0].epoch == 3  # the other's, and ours once


def test_a_row_that_is_gone_is_begun_anew(scene):
    member = caught_up(scene)
    del scene.tables.positions["rating", 0]
    member.settle(100)
    assert scene.positions() == {0: 3, 1: 1}
    assert scene.tables.positions["rating", 0].epoch == 1


def test_two_that_take_an_idle_partition_from_each_other_end(scene):
    caught_up(scene)
    both = [scene.member(0), scene.member(0)]

    def turn_by_turn():
        for turn in range(2_000):
            both[turn % 2].settle(1)

    with pytest.raises(TakenOverRepeatedly):
        turn_by_turn()


def test_the_second_of_two_moves_is_noticed_as_soon_as_the_first(scene):
    member = caught_up(scene)
    for _ in range(8):
        move(scene, 3)
        scene.clock.sleep(60)
        before, epoch = scene.clock.now, scene.tables.positions["rating", 0].epoch
        while scene.tables.positions["rating", 0].epoch == epoch:
            member.settle(1)
            assert scene.clock.now - before < 1
        member.settle(40)

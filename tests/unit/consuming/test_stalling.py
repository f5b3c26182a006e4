"""A partition of which nothing comes though there is more of it: Kafka's client may have forgotten it."""

from itertools import count

from workers.ingestion.consuming.batch import BatchLimits
from workers.kafka.errors import BrokerUnavailable


def forget(member, partition):
    """Kafka's client delivers nothing of it any more, and says nothing."""
    member.source.pause([partition])


def forget_for_good(member, partition):
    """The same, and no pause or resume reminds it: only a seek does."""
    collect, seek = member.source._collect, member.source.seek
    forgotten = {partition}

    def collect_others(*arguments):
        hidden = {each: member.source._readers.pop(each) for each in forgotten}
        collect(*arguments)
        member.source._readers |= hidden

    def remember(partition, start):
        forgotten.discard(partition)
        seek(partition, start)

    member.source._collect, member.source.seek = collect_others, remember


def stop_delivery(scene, member, users):
    """Others' messages come while a write takes its time, until delivery is stopped."""
    while not member.source.paused:
        scene.put(1, f"{next(users)}", 1)
        scene.put(1, f"{next(users)}", 1)
        member.turns()
        member.executor.stuck = member.consumer._writer.is_writing
    assert member.source.paused == {0, 1}


def go_on(member):
    member.executor.stuck = False
    while member.source.paused:
        member.executor.run_one()
        member.turns()


def taken(scene, partition=0):
    return scene.tables.positions["rating", partition].epoch


def idle(member, *, seconds):
    member.settle(round(seconds / 0.1))  # each turn takes twice 0.05 s


def test_a_forgotten_partition_delivers_again_within_a_minute(scene):
    member = scene.member(0, 1)
    member.settle(5)
    forget(member, 0)
    scene.put(0, "a", 1)
    idle(member, seconds=90)
    assert scene.values() == {("a", "1"): 10}
    assert (taken(scene, 0), taken(scene, 1)) == (2, 1)


def test_partitions_at_their_end_are_left_alone(scene):
    member = scene.member(0, 1)
    scene.put(0, "a", 1)
    scene.topic.skip(1)
    idle(member, seconds=200)
    assert (taken(scene, 0), taken(scene, 1)) == (1, 1)


def test_a_partition_that_waits_behind_others_has_not_stalled(scene, monkeypatch):
    monkeypatch.setattr("workers.ingestion.consuming.consumer._FETCH_MOST", 1)
    member = scene.member(0, 1)
    member.settle(5)
    forget(member, 0)
    scene.put(0, "a", 1)
    for number in range(300):
        scene.put(1, f"{number}", 1)  # what is there is as much as is taken at once, each time
        member.turns()
        scene.clock.sleep(1)
    assert taken(scene, 0) == 1
    idle(member, seconds=100)
    assert taken(scene, 0) == 2


def test_nothing_is_said_while_kafka_does_not_answer(scene, monkeypatch):
    member = scene.member(0)

    def ends(_):
        raise BrokerUnavailable(servers="x", timeout=5.0, reason="")

    monkeypatch.setattr(member.consumer._stalls, "_ends", ends)
    forget(member, 0)
    scene.put(0, "a", 1)
    idle(member, seconds=200)
    assert taken(scene) == 1


def test_a_partition_whose_batch_waits_for_the_database_has_not_stalled(scene):
    member = scene.member(0)
    scene.put(0, "a", 1)
    member.submit()
    member.executor.stuck = True
    for user in "bcd":
        scene.put(0, user, 1)
        member.turns(3)
        scene.clock.sleep(1)
    for _ in range(200):
        member.turns()
        scene.clock.sleep(1)
    assert taken(scene) == 1


def test_delivery_that_was_stopped_for_the_database_has_not_stalled(scene):
    member = scene.member(0, 1, limits=BatchLimits(messages=2))
    scene.put(0, "a", 1)
    scene.put(0, "b", 1)
    member.submit()
    member.executor.stuck = True
    for user in "cdef":
        scene.put(0, user, 1)
        member.turns()
    member.turns(2)
    assert member.source.paused == {0, 1}
    scene.put(1, "late", 1)
    for _ in range(100):
        member.turns()
        scene.clock.sleep(1)
    member.executor.stuck = False
    idle(member, seconds=100)
    assert len(scene.values()) == 7
    assert (taken(scene, 0), taken(scene, 1)) == (1, 1)


def test_a_partition_that_is_forgotten_while_the_store_is_slow_delivers_again(scene):
    member = scene.member(0, 1, limits=BatchLimits(messages=2))
    member.settle(5)
    forget_for_good(member, 0)
    scene.put(0, "a", 1)
    users, end = count(), scene.clock.seconds() + 600
    while scene.clock.seconds() < end:
        stop_delivery(scene, member, users)
        member.turns(10)  # each waits 2 s for the write
        go_on(member)
    assert (taken(scene, 0), taken(scene, 1)) == (2, 1)
    member.settle()
    assert scene.values()["a", "1"] == 10


def test_what_comes_after_a_long_stop_of_delivery_has_not_stalled(scene):
    """Right after it the client, which has dropped what it had, fetches anew and is dry for a moment."""
    member = scene.member(0, 1, limits=BatchLimits(messages=2))
    member.settle(5)
    forget_for_good(member, 0)
    scene.put(0, "late", 1)
    stop_delivery(scene, member, count())
    member.turns(100)  # minutes, as each waits for the write
    go_on(member)
    assert taken(scene, 0) == 1

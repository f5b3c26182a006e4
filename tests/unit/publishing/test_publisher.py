"""A publisher's single promises: what it sends, what it keeps, when it stands by and when it ends."""

from dataclasses import replace

import pytest

from ratings.changes import Shard
from tests.unit.publishing.scene import Scene
from workers.publishing.errors import TakenOver, TopicMadeAnew
from workers.publishing.process import transactional_id
from workers.publishing.publisher import ShardPublisher


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    for number in range(1, 11):
        found.database.change(number, count=1, total=number)
    return found


def test_every_change_is_sent_once_and_taken_off(scene: Scene) -> None:
    publisher = scene.publisher()
    scene.sweep(publisher)
    assert scene.followed() == scene.expected()
    assert publisher.published == len(scene.kafka.committed) == 10
    assert scene.database.marks == {}
    scene.sweep(publisher)
    assert publisher.published == 10


def test_a_new_topic_gets_what_changed_before_there_were_marks(scene: Scene) -> None:
    scene.database.marks.clear()
    scene.sweep(scene.publisher())
    assert scene.followed() == scene.expected()


def test_a_topic_that_was_filled_gets_only_changes(scene: Scene) -> None:
    first = scene.publisher()
    scene.sweep(first)
    first.close()
    scene.database.change(3, count=2, total=9)
    scene.sweep(scene.publisher())
    assert len(scene.kafka.committed) == 11


def test_records_at_the_front_that_always_change_do_not_keep_the_others_waiting(scene: Scene) -> None:
    publisher = scene.publisher(most=2)
    scene.turns(publisher)
    while publisher.sweeps == 0:
        for number in range(1, 5):
            scene.database.change(number, count=1, total=1)
        scene.turns(publisher)
        assert publisher.published < 30
    assert {str(number) for number in range(5, 11)} <= scene.followed().keys()


def test_a_second_one_stands_by_and_takes_over(scene: Scene) -> None:
    first, second = scene.publisher(), scene.publisher()
    scene.sweep(first)
    scene.turns(second, 3)
    assert not second.owns
    assert "published by another" in (second.waiting_for or "")
    assert second.failing is None
    assert second.has_nothing_left
    scene.database.change(1, count=5, total=5)
    assert not second.has_nothing_left
    first.close()
    scene.sweep(second)
    assert scene.followed() == scene.expected()


def test_shards_share_the_records(scene: Scene) -> None:
    publishers = [scene.publisher(shard=Shard(number, 3)) for number in range(3)]
    for publisher in publishers:
        scene.sweep(publisher)
    assert [publisher.published for publisher in publishers] == [3, 4, 3]
    assert scene.followed() == scene.expected()


def test_another_number_of_shards_waits_for_the_former_ones_and_fences_them(scene: Scene) -> None:
    former, later = scene.publisher(shard=Shard(0, 2)), scene.publisher(shard=Shard(0, 3))
    scene.sweep(former)
    scene.turns(later, 2)
    assert "another number of shards" in (later.waiting_for or "")
    scene.database.end_session(Shard(0, 2))
    before = dict(scene.kafka.epochs)
    scene.turns(later, 2)
    assert scene.kafka.epochs["aggregates-0-of-2"] == before["aggregates-0-of-2"] + 1
    assert scene.kafka.epochs["aggregates-1-of-2"] == before.get("aggregates-1-of-2", 0) + 1


def test_while_kafka_is_away_the_shard_is_kept_and_nothing_is_lost(scene: Scene) -> None:
    publisher = scene.publisher()
    scene.turns(publisher, 2)
    scene.kafka.away = True
    scene.turns(publisher, 20)
    assert publisher.owns
    assert "away" in (publisher.failing or "")
    assert publisher.left(most=100) > 0
    scene.kafka.away = False
    scene.sweep(publisher)
    scene.sweep(publisher)
    assert publisher.waiting_for is None
    assert scene.followed() == scene.expected()


def test_while_the_database_is_away_nothing_is_sent_and_the_lock_is_taken_anew(scene: Scene) -> None:
    publisher = scene.publisher()
    scene.turns(publisher, 2)
    scene.database.away = True
    sent = len(scene.kafka.committed)
    scene.turns(publisher, 20)
    assert not publisher.owns
    assert len(scene.kafka.committed) == sent
    assert "The database" in (publisher.failing or "")
    scene.database.away = False
    scene.sweep(publisher)
    assert scene.followed() == scene.expected()


def frozen_before_its_commit(scene: Scene) -> tuple[ShardPublisher, ShardPublisher]:
    """A publisher whose session ends, and whose heir publishes a newer version, right after its last check."""
    heir = scene.publisher(most=100)

    def hook(point: str) -> None:
        if point == "after check" and not heir.owns:
            scene.database.end_session(Shard(0, 1))
            scene.database.change(1, count=9, total=9)
            scene.sweep(heir)

    return scene.publisher(hook=hook), heir


def test_a_zombie_that_passed_its_last_check_commits_nothing_and_ends(scene: Scene) -> None:
    zombie, heir = frozen_before_its_commit(scene)
    with pytest.raises(TakenOver, match="while this one did not answer"):
        scene.turns(zombie, 5)
    assert scene.followed() == scene.expected()
    assert len(scene.kafka.committed) == heir.published


def test_a_last_word_of_the_one_before_does_not_end_the_rightful_one(scene: Scene) -> None:
    publisher = scene.publisher()
    scene.turns(publisher, 2)
    scene.kafka.epochs["aggregates-0-of-1"] += 1
    scene.sweep(publisher)
    assert scene.followed() == scene.expected()


def test_somebody_who_takes_the_id_over_again_and_again_ends_it(scene: Scene) -> None:
    publisher = scene.publisher(hook=lambda point: _fence(scene) if point == "after check" else None)
    with pytest.raises(TakenOver, match="another database"):
        scene.turns(publisher, 100)


def _fence(scene: Scene) -> None:
    scene.kafka.epochs["aggregates-0-of-1"] += 1


def test_a_topic_made_anew_ends_it_and_the_next_one_fills_it(scene: Scene) -> None:
    publisher = scene.publisher()
    scene.sweep(publisher)
    scene.topic = replace(scene.topic, topic_id="second")
    scene.kafka.committed.clear()
    with pytest.raises(TopicMadeAnew, match="Start the publishers again"):
        scene.turns(publisher, 100)
    publisher.close()
    scene.sweep(scene.publisher())
    assert scene.followed() == scene.expected()


def test_the_name_in_kafka_is_that_of_the_shard_alone() -> None:
    """Another one would fence nobody."""
    assert transactional_id("ratings.aggregates", Shard(1, 2)) == "ratings.aggregates-publisher-1-of-2"

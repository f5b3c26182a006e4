"""One contract for both shard stores: one holder of a shard at a time, and nothing is read or taken off without it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import psycopg
import pytest

from ratings.changes import Shard
from ratings.services import rating_put
from tests.rating_tables import own_connection
from tests.waiting import wait_until
from workers.kafka.topics import Topic
from workers.publishing.errors import ShardLost
from workers.publishing.memory import MemoryAggregates, MemoryShardStore
from workers.publishing.models import PublishedTopic
from workers.publishing.postgres import PostgresShardStore
from workers.publishing.store import NotYet, ShardStore

TOPIC = Topic(name="aggregates", topic_id="first", cluster_id="c", partitions=1)
WHOLE = Shard(0, 1)
pytestmark = pytest.mark.django_db(transaction=True)


class World(Protocol):
    """A database under test."""

    def store(self, shard: Shard = WHOLE) -> ShardStore: ...
    def change(self, record: int, times: int = 1) -> None: ...
    def end_session(self, store: ShardStore) -> None: ...
    def let_go(self, store: ShardStore) -> None: ...
    def forget_marks(self) -> None: ...


@dataclass
class _MemoryWorld:
    database: MemoryAggregates = field(default_factory=MemoryAggregates)

    def store(self, shard: Shard = WHOLE) -> ShardStore:
        return MemoryShardStore(self.database, shard)

    def change(self, record: int, times: int = 1) -> None:
        for number in range(times):
            self.database.change(record, count=1, total=number)

    def end_session(self, store: ShardStore) -> None:
        assert isinstance(store, MemoryShardStore)
        self.database.end_session(store.shard)

    def let_go(self, store: ShardStore) -> None:
        store.release()

    def forget_marks(self) -> None:
        self.database.marks.clear()


@dataclass
class _PostgresWorld:
    stores: list[PostgresShardStore] = field(default_factory=list)
    changes: int = 0

    def store(self, shard: Shard = WHOLE) -> ShardStore:
        self.stores.append(PostgresShardStore(shard=shard, silence=10.0))
        return self.stores[-1]

    def change(self, record: int, times: int = 1) -> None:
        for _ in range(times):
            self.changes += 1
            tenths = self.changes % 100
            rating_put(record_type="movie", record_id=str(record), provider_id="", user_id="ann", tenths=tenths)

    def end_session(self, store: ShardStore) -> None:
        assert isinstance(store, PostgresShardStore)
        assert store._connection is not None
        with own_connection() as own:
            own.execute("SELECT pg_terminate_backend(%s, 5000)", [store._connection.info.backend_pid])

    def let_go(self, store: ShardStore) -> None:
        """The server ends a session, and frees what it has locked, some time after its client has left."""
        assert isinstance(store, PostgresShardStore)
        assert store._connection is not None
        pid = store._connection.info.backend_pid
        store.release()
        with own_connection() as own:
            wait_until(lambda: is_gone(own, pid))

    def forget_marks(self) -> None:
        with own_connection() as own:
            own.execute("DELETE FROM ratings_aggregatechange")


def is_gone(own: psycopg.Connection[Any], pid: int) -> bool:
    return own.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is None


@pytest.fixture(params=["memory", "postgres"])
def world(request: pytest.FixtureRequest, settings: Any) -> Iterator[World]:
    if request.param == "memory":
        yield _MemoryWorld()
        return
    settings.RATINGS_PUBLISH_AGGREGATES = True
    found = _PostgresWorld()
    yield found
    for store in found.stores:
        store.release()


def never(shard: Shard) -> None:
    raise AssertionError(f"{shard} is fenced")


def take(store: ShardStore, topic: Topic = TOPIC) -> NotYet | None:
    """Takes it as a publisher does: again while it is this store that is not ready."""
    for _ in range(10):
        not_yet = store.take(topic, fence=never)
        if not_yet is None or not_yet.is_anothers:
            return not_yet
    raise AssertionError(not_yet)


def test_one_holder_at_a_time(world: World) -> None:
    first, second = world.store(), world.store()
    assert take(first) is None
    not_yet = take(second)
    assert not_yet is not None
    assert "is published by" in not_yet.reason
    first.check()
    world.let_go(first)
    assert take(second) is None
    second.check()


def test_shards_have_their_own_holders(world: World) -> None:
    for record in range(1, 9):
        world.change(record)
    stores = [world.store(Shard(number, 2)) for number in range(2)]
    assert [take(store) for store in stores] == [None, None]
    found = [[change.record_id for change in store.read(after=0, most=100)] for store in stores]
    assert sorted(found[0] + found[1]) == [str(record) for record in range(1, 9)]
    assert all(found)


def test_without_the_lock_nothing_is_read_or_taken_off(world: World) -> None:
    world.change(1)
    store = world.store()
    assert take(store) is None
    published = store.read(after=0, most=10)
    world.end_session(store)
    with pytest.raises(ShardLost):
        store.check()
    with pytest.raises(ShardLost):
        store.take_off(published)
    with pytest.raises(ShardLost):
        store.read(after=0, most=10)
    heir = world.store()
    assert take(heir) is None
    assert heir.read(after=0, most=10) == published


def test_what_is_taken_off_is_gone_unless_it_changed_again(world: World) -> None:
    world.change(1)
    world.change(2)
    store = world.store()
    assert take(store) is None
    published = store.read(after=0, most=10)
    world.change(2)
    assert store.left(most=10) == 2
    store.take_off(published)
    (left,) = store.read(after=0, most=10)
    assert (left.record_id, left.version) == ("2", 2)
    assert store.left(most=10) == 1


def test_a_new_topic_is_filled_with_what_changed_before(world: World) -> None:
    world.change(1, times=3)
    world.forget_marks()
    store = world.store()
    assert take(store) is None
    assert [change.version for change in store.read(after=0, most=10)] == [3]


def test_a_filled_topic_is_not_filled_again_but_one_made_anew_is(world: World) -> None:
    world.change(1)
    store = world.store()
    assert take(store) is None
    world.let_go(store)
    world.forget_marks()
    again = world.store()
    assert take(again) is None
    assert again.read(after=0, most=10) == []
    world.let_go(again)
    anew = world.store()
    assert take(anew, replace(TOPIC, topic_id="second")) is None
    assert [change.record_id for change in anew.read(after=0, most=10)] == ["1"]


def test_another_number_of_shards_fences_the_former_ones_once_they_are_gone(world: World) -> None:
    former, later = world.store(Shard(0, 2)), world.store(Shard(1, 3))
    assert take(former) is None
    not_yet = take(later)
    assert not_yet is not None
    assert "in another number of shards" in not_yet.reason
    world.let_go(former)
    fenced: list[Shard] = []
    while not_yet := later.take(TOPIC, fence=fenced.append):
        assert not not_yet.is_anothers
    assert fenced == [Shard(0, 2), Shard(1, 2)]
    later.check()


def test_a_fence_that_fails_leaves_the_shards_as_they_were(world: World) -> None:
    former, later = world.store(Shard(0, 2)), world.store(Shard(0, 1))
    assert take(former) is None
    world.let_go(former)
    with pytest.raises(AssertionError, match="is fenced"):
        later.take(TOPIC, fence=never)
    assert take(former) is None


class TestPostgres:
    """What only the real one can show."""

    def test_a_holder_that_is_silent_loses_the_shard(self, settings: Any) -> None:
        silent, heir = PostgresShardStore(shard=WHOLE, silence=0.3), PostgresShardStore(shard=WHOLE, silence=10.0)
        assert take(silent) is None
        not_yet = take(heir)
        assert not_yet is not None
        assert "publish_aggregates" in not_yet.reason  # who has it: the command, the machine, the process
        with own_connection() as own:
            pid = silent._connection.info.backend_pid  # type: ignore[union-attr]
            wait_until(lambda: is_gone(own, pid), timeout=10)
        assert take(heir) is None
        with pytest.raises(ShardLost):
            silent.check()
        heir.release()

    def test_the_topic_is_remembered(self) -> None:
        store = PostgresShardStore(shard=Shard(1, 2), silence=10.0)
        assert take(store) is None
        store.release()
        (topic,) = PublishedTopic.objects.all()
        assert (topic.cluster_id, topic.topic, topic.topic_id, topic.shards) == ("c", "aggregates", "first", 2)

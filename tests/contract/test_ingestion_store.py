"""What every IngestionStore promises, asked of the one in memory and of the one on Postgres."""

import base64
import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from ratings.events import RatingEvent
from tests import rating_tables
from tests.waiting import wait_until
from workers.ingestion.batch import Batch, Letter, Slice
from workers.ingestion.errors import Fenced, StoreUnavailable
from workers.ingestion.memory import InMemoryStore, MemoryTables
from workers.ingestion.models import ConsumerOffset, DeadLetter
from workers.ingestion.postgres import PostgresStore
from workers.kafka.topics import Topic

TIME = 1_700_000_000_000_000
TOPIC = Topic(name="ratings", topic_id="topic-1", cluster_id="cluster-1", partitions=3)


class MemoryDatabase:
    """Stores on tables in memory, and a look into them."""

    def __init__(self):
        self.tables = MemoryTables()

    def store(self, group="rating"):
        return InMemoryStore(self.tables, group=group)

    def standing(self):
        return {key[2:]: (rating.tenths, rating.written_at) for key, rating in self.tables.ratings.standing().items()}

    def letters(self):
        return [
            (*key, found.letter.key, found.letter.value, found.letter.headers, found.letter.time, found.attempts)
            for key, found in sorted(self.tables.letters.items())
        ]


class PostgresDatabase:
    """Stores on the test database."""

    def __init__(self):
        self.stores = []

    def store(self, group="rating", topic=TOPIC):
        self.stores.append(PostgresStore(group=group, topic=topic))
        return self.stores[-1]

    def standing(self):
        return {key[2:]: (rating.tenths, rating.written_at) for key, rating in rating_tables.standing("movie").items()}

    def letters(self):
        return [
            (
                row.group,
                row.partition,
                row.offset,
                None if row.key is None else bytes(row.key),
                None if row.value is None else bytes(row.value),
                tuple((name, None if value is None else base64.b64decode(value)) for name, value in row.headers),
                (row.timestamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
                row.attempts,
            )
            for row in DeadLetter.objects.order_by("group", "partition", "offset")
        ]


@pytest.fixture
def postgres(transactional_db):
    database = PostgresDatabase()
    yield database
    for store in database.stores:
        store.close()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.django_db(transaction=True))])
def database(request):
    return MemoryDatabase() if request.param == "memory" else request.getfixturevalue("postgres")


@pytest.fixture
def store(database):
    return database.store()


def take(store, *partitions, first=0):
    return store.take(partitions, first_offset=lambda _: first)


def part(claim, users="", *, partition=0, end=None, letters=(), time=TIME):
    """A slice of puts of 5.0 by these users, one offset each, from where the claim stands."""
    events = [RatingEvent("movie", "1", "", user, 50) for user in users]
    size = len(events) + len(letters)
    return Slice(
        partition=partition,
        epoch=claim.epoch,
        start=claim.next_offset,
        end=claim.next_offset + size if end is None else end,
        latest_time=time,
        leader_epoch=7,
        events=events,
        times=[time] * len(events),
        letters=list(letters),
    )


def letter(offset, *, key=b"k", value=b"\x00\xff", headers=(), field="ratingValue", reason="it is wrong"):
    return Letter(offset=offset, key=key, value=value, headers=tuple(headers), time=TIME, field=field, reason=reason)


def raters(database):
    return {key[1] for key in database.standing()}


def test_nothing_was_begun(store):
    assert store.positions() == {}


def test_a_first_take_over_begins_at_the_first_offset_and_stores_it(database, store):
    claims = take(store, 0, 2, first=40)
    assert {number: (claim.epoch, claim.next_offset) for number, claim in claims.items()} == {0: (1, 40), 2: (1, 40)}
    assert (claims[0].latest_time, claims[0].leader_epoch) == (0, None)
    assert store.positions() == {0: 40, 2: 40}


def test_the_first_offset_is_asked_for_once(database, store):
    take(store, 0, first=40)
    asked = []
    claims = store.take([0, 1], first_offset=lambda number: asked.append(number) or 99)
    assert asked == [1]
    assert {number: (claim.epoch, claim.next_offset) for number, claim in claims.items()} == {0: (2, 40), 1: (1, 99)}


def test_a_first_offset_that_cannot_be_had_leaves_nothing_begun(store):
    def refuse(_):
        raise ConnectionError("no broker")

    with pytest.raises(ConnectionError):
        store.take([0], first_offset=refuse)
    assert store.positions() == {}
    assert take(store, 0)[0].epoch == 1


def test_each_take_over_raises_the_epoch_and_tells_where_to_go_on(database, store):
    claim = take(store, 0)[0]
    store.apply(Batch([part(claim, "ab")]))
    other = take(database.store(), 0, first=77)[0]
    assert (other.epoch, other.next_offset, other.latest_time, other.leader_epoch) == (2, 2, TIME, 7)


def test_ratings_letters_and_positions_are_applied(database, store):
    claims = take(store, 0, 1)
    store.apply(Batch([part(claims[0], "ab"), part(claims[1], "c", partition=1, letters=[letter(1)], end=9)]))
    assert database.standing() == dict.fromkeys([("", "a"), ("", "b"), ("", "c")], (50, TIME))
    assert store.positions() == {0: 2, 1: 9}
    assert [found[:3] for found in database.letters()] == [("rating", 1, 1)]


def test_a_slice_without_a_message_moves_the_position(store):
    claim = take(store, 0)[0]
    store.apply(Batch([part(claim, end=3, time=0)]))
    assert store.positions() == {0: 3}
    assert take(store, 0)[0].latest_time == 0


def test_applying_the_same_slices_again_changes_nothing(database, store):
    claims = take(store, 0, 1)
    batch = Batch([part(claims[0], "a", letters=[letter(1)]), part(claims[1], "b", partition=1)])
    for _ in range(3):
        store.apply(batch)
    assert raters(database) == {"a", "b"}
    assert store.positions() == {0: 2, 1: 1}
    assert [found[-1] for found in database.letters()] == [1]


def test_what_was_applied_before_is_left_out_and_the_rest_is_applied(database, store):
    claims = take(store, 0, 1)
    first = part(claims[0], "a", letters=[letter(1)])
    store.apply(Batch([first]))
    store.apply(Batch([first, part(claims[1], "b", partition=1)]))
    assert raters(database) == {"a", "b"}
    assert store.positions() == {0: 2, 1: 1}
    assert [found[-1] for found in database.letters()] == [1]


def test_a_fenced_batch_writes_nothing_and_names_exactly_the_partitions_that_were_taken(database, store):
    claims = take(store, 0, 1, 2)
    take(database.store(), 1)
    batch = Batch(
        [
            part(claims[0], "a"),
            part(claims[1], "b", partition=1, letters=[letter(1)]),
            part(claims[2], "c", partition=2),
        ]
    )
    with pytest.raises(Fenced) as fenced:
        store.apply(batch)
    assert fenced.value.partitions == {1}
    assert (database.standing(), database.letters(), store.positions()) == ({}, [], {0: 0, 1: 0, 2: 0})
    store.apply(batch.without(fenced.value.partitions))
    assert raters(database) == {"a", "c"}


def test_a_fence_after_a_lost_answer_names_only_what_was_not_applied(database, store):
    claims = take(store, 0, 1)
    first = part(claims[0], "a")
    store.apply(Batch([first]))
    take(database.store(), 1)
    with pytest.raises(Fenced) as fenced:
        store.apply(Batch([first, part(claims[1], "b", partition=1)]))
    assert fenced.value.partitions == {1}


def test_another_position_is_a_fence_too(database, store):
    claim = take(store, 0)[0]
    store.apply(Batch([part(claim, "abc")]))
    claim.next_offset = 2
    with pytest.raises(Fenced):
        store.apply(Batch([part(claim, "xy")]))
    assert raters(database) == {"a", "b", "c"}


def test_a_partition_that_was_never_taken_is_a_fence(database, store):
    claim = take(store, 0)[0]
    with pytest.raises(Fenced) as fenced:
        store.apply(Batch([part(claim, "a", partition=2)]))
    assert fenced.value.partitions == {2}


def test_groups_have_positions_and_letters_of_their_own(database, store):
    other = database.store(group="other")
    store.apply(Batch([part(take(store, 0)[0], "a", letters=[letter(1)])]))
    assert other.positions() == {}
    other.apply(Batch([part(take(other, 0)[0], "a", letters=[letter(1)])]))
    assert other.positions() == store.positions() == {0: 2}
    assert [found[:3] for found in database.letters()] == [("other", 0, 1), ("rating", 0, 1)]


def test_letters_are_kept_byte_by_byte(database, store):
    claim = take(store, 0)[0]
    headers = (("a", b"\x00\xff"), ("a", None), ("é", b""))
    store.apply(
        Batch(
            [
                part(
                    claim,
                    letters=[
                        letter(0, key=None, value=None),
                        letter(1, key=b"", value=b"\x00" * 3, headers=headers),
                        letter(2, key=b"\xff\x00", value=b"v" * 900_000),
                    ],
                )
            ]
        )
    )
    assert [found[3:] for found in database.letters()] == [
        (None, None, (), TIME, 1),
        (b"", b"\x00" * 3, headers, TIME, 1),
        (b"\xff\x00", b"v" * 900_000, (), TIME, 1),
    ]


def test_the_last_of_several_writes_of_one_rating_stands(database, store):
    claim = take(store, 0)[0]
    slice_ = part(claim, "aaa")
    slice_.events[1:] = [RatingEvent("movie", "1", "", "a", 10), RatingEvent("movie", "1", "", "a", None)]
    slice_.times[:] = [TIME, TIME + 2, TIME + 1]
    store.apply(Batch([slice_]))
    assert database.standing() == {("", "a"): (10, TIME + 2)}


def test_header_names_that_postgres_cannot_hold_are_written_in_another_way(postgres):
    store = postgres.store()
    claim = take(store, 0)[0]
    names = (("nul\x00", b"1"), ("half \ud800", b"2"))
    store.apply(Batch([part(claim, letters=[letter(0, headers=names)])]))
    assert DeadLetter.objects.get().headers == [["nul\\x00", "MQ=="], ["half \\ud800", "Mg=="]]


def test_a_letter_says_where_it_was_and_why(postgres):
    store = postgres.store()
    store.apply(Batch([part(take(store, 1)[1], partition=1, letters=[letter(0)])]))
    row = DeadLetter.objects.get()
    assert (row.cluster_id, row.topic_id, row.topic) == ("cluster-1", "topic-1", "ratings")
    assert (row.field, row.reason) == ("ratingValue", "it is wrong")


def test_a_topic_made_anew_and_another_cluster_begin_from_their_own_start(postgres):
    store = postgres.store()
    store.apply(Batch([part(take(store, 0)[0], "a")]))
    anew = Topic(name="ratings", topic_id="topic-2", cluster_id="cluster-1", partitions=3)
    elsewhere = Topic(name="ratings", topic_id="topic-1", cluster_id="cluster-2", partitions=3)
    for topic in (anew, elsewhere):
        assert postgres.store(topic=topic).positions() == {}
    assert ConsumerOffset.objects.count() == 1


def terminate_all_but_me(name):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(cursor.fetchall())


def test_a_lost_connection_is_told_and_the_next_call_has_a_new_one(postgres):
    store = postgres.store()
    claim = take(store, 0)[0]
    assert terminate_all_but_me(store) >= 1
    batch = Batch([part(claim, "a", letters=[letter(1)])])
    with pytest.raises(StoreUnavailable):
        store.apply(batch)
    store.apply(batch)
    store.apply(batch)
    assert raters(postgres) == {"a"}
    assert [found[-1] for found in postgres.letters()] == [1]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_lost_at_the_commit_leaves_all_or_nothing(postgres, monkeypatch, moment):
    """The commit's answer is lost, and whether it happened is not known: the repeat finds it out."""
    store = postgres.store()
    claims = take(store, 0, 1)
    batch = Batch([part(claims[0], "a", letters=[letter(1)]), part(claims[1], "b", partition=1)])
    lost = []

    class LosesOneAnswer(psycopg.Transaction):
        def __exit__(self, kind, error, trace):
            if kind is None and not lost:
                lost.append(moment)
                if moment == "after":
                    super().__exit__(None, None, None)
                self.connection.close()
                raise psycopg.OperationalError("the connection was lost")
            return super().__exit__(kind, error, trace)

    monkeypatch.setattr(psycopg._connection_base, "Transaction", LosesOneAnswer, raising=False)
    monkeypatch.setattr("psycopg.connection.Transaction", LosesOneAnswer)
    with pytest.raises(StoreUnavailable):
        store.apply(batch)
    assert raters(postgres) == (set() if moment == "before" else {"a", "b"})
    store.apply(batch)
    assert lost
    assert raters(postgres) == {"a", "b"}
    assert [found[-1] for found in postgres.letters()] == [1]


def test_a_new_owner_waits_for_the_writer_before_it_and_goes_on_behind_it(postgres):
    """The offsets' rows are locked first, so a take-over sees all of a batch or fences all of it."""
    slow, heir = postgres.store(), postgres.store()
    claim = take(slow, 0)[0]
    with rating_tables.own_connection() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE ratings_rating IN ACCESS EXCLUSIVE MODE")
        writing = threading.Thread(target=slow.apply, args=[Batch([part(claim, "a")])])
        writing.start()
        wait_until(lambda: waiting_for_locks() == 1)
        claims = {}
        taking = threading.Thread(target=lambda: claims.update(take(heir, 0)))
        taking.start()
        wait_until(lambda: waiting_for_locks() == 2)
    writing.join(10)
    taking.join(10)
    assert (claims[0].epoch, claims[0].next_offset) == (2, 1)
    assert raters(postgres) == {"a"}


def waiting_for_locks():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


def test_an_erasure_in_between_makes_the_ids_be_looked_up_again(postgres):
    from ratings.services import rater_erase

    store = postgres.store()
    claim = take(store, 0)[0]
    store.apply(Batch([part(claim, "ab")]))
    rater_erase(provider_id="", user_id="a")
    claim.next_offset = 2
    store.apply(Batch([part(claim, "a", time=TIME + 1)]))
    assert raters(postgres) == {"a", "b"}


def test_another_default_isolation_is_overridden(postgres):
    from workers.ingestion.database import connect

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation TO serializable')
    try:
        with rating_tables.own_connection() as plain, connect() as ours:
            assert plain.execute("SHOW transaction_isolation").fetchone() == ("serializable",)
            assert ours.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
            assert ours.execute("SHOW synchronous_commit").fetchone() == ("on",)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')

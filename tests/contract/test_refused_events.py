"""What every IngestionStore does with valid events that its database refuses, in memory and on Postgres."""

from contextlib import closing

import pytest

from ratings.events import RatingEvent, encode_event
from tests.ingestion_stores import TIME, MemoryDatabase, PostgresDatabase, letter, raters, take, write
from tests.rating_tables import assert_consistent, own_connection
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.errors import Fenced, TooManyDeadLetters
from workers.ingestion.postgres_errors import Refusal
from workers.kafka.memory import MemoryMessage

UNLUCKY = 13
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 13 THEN RAISE EXCEPTION 'no 13 please, rater %', NEW.rater_id; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ratings_rating FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE ratings_rater ADD CONSTRAINT no_robots CHECK (user_id NOT LIKE 'robot%');
"""
ALLOW = "DROP FUNCTION IF EXISTS refuse CASCADE; ALTER TABLE ratings_rater DROP CONSTRAINT IF EXISTS no_robots"


def refuses(event):
    """What REFUSE says, in Python."""
    if event.user_id.startswith("robot"):
        return Refusal("userId", "no_robots")
    return Refusal("", "refuse") if event.tenths == UNLUCKY else None


@pytest.fixture
def postgres(transactional_db):
    with own_connection() as owner:
        owner.execute(REFUSE)
        with closing(PostgresDatabase()) as database:
            yield database
        owner.execute(ALLOW)


@pytest.fixture
def memory():
    database = MemoryDatabase()
    database.tables.refuses = refuses
    return database


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.django_db(transaction=True))])
def database(request):
    return request.getfixturevalue(request.param)


def batch_of(claims, *writes, letters=()):
    """A batch as the loop builds it: `writes` are user, tenths and, unless it is 0, the partition, in their order."""
    batch, offsets = Batch(), dict.fromkeys(claims, 0)
    for user, tenths, *where in writes:
        partition = where[0] if where else 0
        payload = encode_event(RatingEvent("movie", "1", "", user, tenths))
        offset = claims[partition].next_offset + offsets[partition]
        offsets[partition] += 1
        message = MemoryMessage(partition, offset, b"key", payload, [("h", b"\xff")], (1, TIME // 1000 + offset))
        batch.add([message], claims, now=TIME * 2)
    for part in batch:
        part.letters.extend(letters)
    return batch


def at(offset):
    return TIME + offset * 1000


def test_a_refused_event_is_a_letter_and_all_others_are_applied(database):
    store = database.store()
    claims = take(store, 0, 1)
    batch = batch_of(claims, ("a", 50), ("b", UNLUCKY), ("c", None), ("d", 10, 1), ("robot", 20, 1), ("e", 0, 1))
    assert write(store, batch).refused == 2
    assert database.standing() == {
        ("", "a"): (50, at(0)),
        ("", "c"): (None, at(2)),
        ("", "d"): (10, at(0)),
        ("", "e"): (0, at(2)),
    }
    assert store.positions() == {0: 3, 1: 3}
    headers = (("h", b"\xff"),)
    assert database.letters() == [
        ("rating", 0, 1, b"key", encode_event(RatingEvent("movie", "1", "", "b", UNLUCKY)), headers, at(1), 1),
        ("rating", 1, 1, b"key", encode_event(RatingEvent("movie", "1", "", "robot", 20)), headers, at(1), 1),
    ]


def test_an_earlier_good_write_of_the_same_rating_is_not_lost_with_it(database):
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 40), ("a", UNLUCKY), ("b", UNLUCKY), ("b", 30)))
    assert database.standing() == {("", "a"): (40, at(0)), ("", "b"): (30, at(3))}
    assert [found[2] for found in database.letters()][:1] == [1]


def test_a_batch_of_nothing_but_refused_events_moves_the_position(database):
    store = database.store()
    write(store, batch_of(take(store, 0), ("robot 1", 40), ("robot 2", UNLUCKY), ("a", UNLUCKY)))
    assert (database.standing(), store.positions()) == ({}, {0: 3})
    assert [found[2] for found in database.letters()] == [0, 1, 2]


def test_letters_that_the_batch_had_before_are_kept_beside_them(database):
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", UNLUCKY), ("b", 10), letters=[letter(7)]))
    assert [found[2] for found in database.letters()] == [0, 7]


def test_to_write_it_again_changes_nothing(database):
    store = database.store()
    batch = batch_of(take(store, 0), ("a", UNLUCKY), ("b", 10), ("robot", 10))
    for refused in (2, 0, 0):
        assert write(store, batch).refused == refused
    assert raters(database) == {"b"}
    assert [found[-1] for found in database.letters()] == [1, 1]


def test_a_fenced_batch_writes_nothing_of_it(database):
    store = database.store()
    claims = take(store, 0, 1)
    take(database.store(), 1)
    batch = batch_of(claims, ("a", UNLUCKY), ("b", 10), ("c", UNLUCKY, 1))
    with pytest.raises(Fenced) as fenced:
        write(store, batch)
    assert fenced.value.partitions == {1}
    assert (database.standing(), database.letters(), store.positions()) == ({}, [], {0: 0, 1: 0})
    write(store, batch.without({1}))
    assert (raters(database), [found[1:3] for found in database.letters()]) == ({"b"}, [(0, 0)])


@pytest.mark.parametrize("bad", ["robot", "unlucky"])
def test_more_refused_events_than_are_allowed_write_nothing(database, bad):
    store = database.store()
    users = [(f"robot {number}", 50) if bad == "robot" else (f"u{number}", UNLUCKY) for number in range(120)]
    good = [(f"good {number}", 50) for number in range(880)]
    batch = batch_of(take(store, 0), *users, *good)
    with pytest.raises(TooManyDeadLetters):
        store.apply(store.prepare(batch), allowance=Allowance(ratio=0.1, messages=1_000, letters=0))
    with pytest.raises(TooManyDeadLetters):
        store.try_out(batch, allowance=Allowance(ratio=0.1, messages=1_000, letters=0))
    store.try_out(batch, allowance=Allowance(ratio=0.12, messages=1_000, letters=0))
    assert (database.standing(), database.letters(), store.positions()) == ({}, [], {0: 0})
    applied = store.apply(store.prepare(batch), allowance=Allowance(ratio=0.12, messages=1_000, letters=0))
    assert applied.refused == 120
    assert (len(database.standing()), len(database.letters()), store.positions()) == (880, 120, {0: 1_000})


def test_the_store_goes_on_after_a_refusal(postgres):
    store = postgres.store()
    write(store, batch_of(take(store, 0), ("a", UNLUCKY), ("b", 10), ("robot", 10)))
    claims = take(store, 0)
    assert write(store, batch_of(claims, ("a", 20), ("c", 10))).refused == 0
    assert raters(postgres) == {"a", "b", "c"}
    assert_consistent()

"""The search for the events that Postgres refuses: what it finds, what it costs, and whom it keeps waiting: nobody."""

import psycopg
import pytest

from ratings import suspects
from tests.contract.test_refused_events import batch_of
from tests.ingestion_stores import raters, take, write
from tests.rating_tables import assert_consistent
from tests.refusing_rules import BAD, RAISE, assert_nothing_written, refuse
from workers.ingestion.consuming import sifting
from workers.ingestion.errors import Fenced, StoreUnavailable


def statements(monkeypatch):
    """Those that write ratings, as they are sent from now on."""
    sent = []
    execute = psycopg.Cursor.execute

    def counted(cursor, query, *args, **kwargs):
        if "INSERT INTO ratings_rating" in (query.decode() if isinstance(query, bytes) else query):
            sent.append(query)
        return execute(cursor, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    return sent


def test_one_refused_event_costs_few_statements(owner, database, monkeypatch):
    refuse(owner, bad="ERRCODE = '23514'")
    store = database.store()
    claims = take(store, 0)
    sent = statements(monkeypatch)
    write(store, batch_of(claims, *[(f"u{number}", 50) for number in range(1_000)], ("b", BAD)))
    # In vain, tried, halved twice, the last 251 each alone, the one, all others, in earnest.
    assert len(sent) == 1 + 1 + 2 * 2 + 1 + 1 + 1 + 1
    assert len(database.standing()) == 1_000
    # Nothing of a trial is left: the record's aggregate has changed once.
    assert owner.execute("SELECT version FROM ratings_recordaggregate").fetchall() == [(1,)]


LATE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 13 THEN RAISE EXCEPTION 'too late'; END IF; RETURN NULL;
END $$;
CREATE {kind} TRIGGER refuse AFTER INSERT OR UPDATE ON ratings_rating {when} FOR EACH ROW EXECUTE FUNCTION refuse();
"""
NEEDS_ANOTHER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 13 OR NEW.value = 60 AND NOT EXISTS (SELECT FROM ratings_rating WHERE value = 50) THEN
        RAISE EXCEPTION 'too early';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON ratings_rating DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse();
"""
RULES = {
    "a check": "ALTER TABLE ratings_rating ADD CONSTRAINT rule CHECK (value IS NULL OR value <> 13)",
    "a trigger": RAISE.replace("%%", "%").format(bad="ERRCODE = '23514'", worse="ERRCODE = '53100'"),
    "a trigger afterwards": LATE.format(kind="", when=""),
    "a trigger at the commit": LATE.format(kind="CONSTRAINT", when="DEFERRABLE INITIALLY DEFERRED"),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_of_many_refused_events_costs_one_statement_more(owner, database, monkeypatch, rule):
    owner.execute(RULES[rule])
    store = database.store()
    write(store, batch_of(take(store, 0), *[(f"u{number}", 40) for number in range(0, 600, 4)]))
    claims = take(store, 0)
    sent = statements(monkeypatch)
    events = [(f"u{number}", 50 if number % 6 else BAD) for number in range(600)]
    assert write(store, batch_of(claims, *events)).refused == 100
    # In vain, tried, in four parts tried and each alone, the hundred, all others, in earnest.
    assert len(sent) <= 1 + 1 + 2 * 4 + 100 + 1 + 1
    expected = {user: tenths for user, tenths in events if tenths != BAD}
    expected |= {f"u{number}": 40 for number in range(0, 600, 12)}
    assert {key[1]: value[0] for key, value in database.standing().items()} == expected
    assert [found[2] - 150 for found in database.letters()] == list(range(0, 600, 6))
    assert_consistent()


def test_refused_ids_are_found_alike_and_few_numbers_are_lost_for_it(owner, database):
    owner.execute("ALTER TABLE ratings_rater ADD CONSTRAINT rule CHECK (user_id NOT LIKE 'robot%')")
    store = database.store()
    users = [f"{'robot' if number % 5 == 0 else 'user'} {number}" for number in range(500)]
    (before,) = owner.execute("SELECT nextval(pg_get_serial_sequence('ratings_rater', 'id'))").fetchone()
    assert write(store, batch_of(take(store, 0), *[(user, 50) for user in users])).refused == 100
    (after,) = owner.execute("SELECT nextval(pg_get_serial_sequence('ratings_rater', 'id'))").fetchone()
    assert after - before < 3 * 500
    assert raters(database) == {user for user in users if user.startswith("user")}


def test_what_a_later_write_hides_is_refused_only_once_that_one_is(owner, database):
    refuse(owner, bad="ERRCODE = '23514'")
    store = database.store()
    events = [("a", BAD), ("a", BAD), ("b", BAD), ("b", 30), ("c", 20), ("c", BAD)]
    assert write(store, batch_of(take(store, 0), *events)).refused == 3
    assert {key[1]: value[0] for key, value in database.standing().items()} == {"b": 30, "c": 20}
    assert [found[2] for found in database.letters()] == [0, 1, 5]


@pytest.mark.parametrize("block", ["DO LANGUAGE nobodys ''", "DO $$ BEGIN RAISE SQLSTATE '22P05'; END $$"])
def test_where_none_can_be_tried_alone_the_events_are_found_by_halves(owner, database, monkeypatch, block):
    monkeypatch.setattr(suspects, "_TRY_EACH", block)
    refuse(owner, bad="ERRCODE = '23514'")
    store = database.store()
    write(store, batch_of(take(store, 0), *[(f"u{number}", 50) for number in range(20)], ("b", BAD)))
    assert (len(raters(database)), [found[2] for found in database.letters()]) == (20, [20])


def test_a_rating_that_is_only_allowed_after_another_one_of_its_batch_is_written(owner, database):
    owner.execute(NEEDS_ANOTHER)
    store = database.store()
    assert write(store, batch_of(take(store, 0), ("first", 50), ("needs", 60), ("b", BAD))).refused == 1
    assert {key[1]: value[0] for key, value in database.standing().items()} == {"first": 50, "needs": 60}
    assert [found[2] for found in database.letters()] == [2]


def test_one_refused_event_costs_few_transaction_ids(owner, database):
    refuse(owner, bad="ERRCODE = '23514'")
    store = database.store()
    batch = batch_of(take(store, 0), *[(f"u{number}", 50) for number in range(2_000)], ("b", BAD))
    (before,) = owner.execute("SELECT txid_current()").fetchone()
    assert write(store, batch).refused == 1
    (after,) = owner.execute("SELECT txid_current()").fetchone()
    assert after - before < 256 + 30


@pytest.mark.parametrize("search", [suspects.suspected_records, suspects.suspected_raters])
def test_between_two_portions_it_is_looked_at_whether_to_go_on(owner, database, search):
    looks = []

    def go_on():
        looks.append(None)
        if len(looks) == 3:
            raise InterruptedError

    keys = [("movie", f"{number}") for number in range(5_000)]
    with owner.cursor() as cursor, pytest.raises(InterruptedError):
        search(cursor, keys, go_on=go_on)


@pytest.fixture
def at_the_third_trial(monkeypatch):
    """Has something done in the middle of the search."""
    monkeypatch.setattr(sifting, "_LOOK_EVERY", 0.0)
    trials = []

    def hook(do):
        def tried(cursor, writes):
            trials.append(len(writes.ids))
            if len(trials) == 3:
                do()
            return plain(cursor, writes)

        monkeypatch.setattr(sifting, "ratings_write", tried)
        return trials

    plain = sifting.ratings_write
    return hook


def test_a_new_owner_need_not_wait_for_the_search_and_ends_it(owner, database, at_the_third_trial):
    refuse(owner, bad="ERRCODE = '23514'")
    store, other = database.store(), database.store()
    batch = batch_of(take(store, 0), *[(f"u{number}", BAD) for number in range(50)], ("good", 50))
    trials = at_the_third_trial(lambda: take(other, 0))
    with pytest.raises(Fenced):
        write(store, batch)
    assert len(trials) == 3
    assert_nothing_written(database, store)


def test_what_was_tried_is_not_written_when_another_owner_comes_last(owner, database, at_the_third_trial):
    refuse(owner, bad="ERRCODE = '23514'")
    store, other = database.store(), database.store()
    batch = batch_of(take(store, 0), ("a", 50), ("b", BAD), ("c", 10))
    trials = at_the_third_trial(lambda: take(other, 0))
    with pytest.raises(Fenced):
        write(store, batch)
    assert trials == [3, 1, 2]
    assert_nothing_written(database, store)


def try_out(store, batch):
    store.try_out(batch)


@pytest.mark.parametrize("search", [write, try_out])
def test_the_end_of_the_process_ends_the_search(owner, database, at_the_third_trial, search):
    refuse(owner, bad="ERRCODE = '23514'")
    store = database.store()
    batch = batch_of(take(store, 0), *[(f"u{number}", BAD) for number in range(50)], ("good", 50))
    trials = at_the_third_trial(lambda: store.end_within(5.0))
    with pytest.raises(StoreUnavailable):
        search(store, batch)
    assert len(trials) == 3
    assert_nothing_written(database, database.store())

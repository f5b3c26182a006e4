"""Which errors of Postgres make a dead letter, and which are waited out or stop the consumer, with nothing written."""

import pytest

from ratings.services import rater_erase
from tests.contract.test_refused_events import batch_of
from tests.ingestion_stores import letter, part, raters, take, write
from tests.rating_tables import assert_consistent
from tests.refusing_rules import ALLOW, BAD, WORSE, assert_nothing_written, refuse
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.sifting import Sifter
from workers.ingestion.errors import StoreNotReady, StoreUnavailable
from workers.ingestion.models import DeadLetter

OF_DATA = (
    *("22003", "22001", "22P02", "23514", "23505", "23503", "23P01", "54000", "P0001"),
    *("P0002", "P0004", "44000", "0A000", "38000", "21000", "MY001"),
)
OF_ELSE = (
    *("08006", "25006", "26000", "28000", "2D000", "34000", "39000", "3F000", "2200H", "40001", "40P01"),
    *("53100", "53200", "55P03", "57014", "58030", "F0000", "HV000", "XX001"),
)


def test_an_error_of_the_data_is_a_letter(owner, database):
    store = database.store()
    for state in OF_DATA:
        owner.execute(ALLOW)
        refuse(owner, bad=f"ERRCODE = '{state}'")
        write(store, batch_of(take(store, 0), (f"good {state}", 50), (f"bad {state}", BAD)))
        row = DeadLetter.objects.latest("offset")
        assert row.field == ""
        assert f"(SQLSTATE {state})" in row.reason
        assert row.reason.endswith(", function refuse")
        assert "it is rater" not in row.reason
    assert raters(database) == {f"good {state}" for state in OF_DATA}
    assert DeadLetter.objects.count() == len(OF_DATA)


def test_any_other_error_is_waited_out_with_nothing_written(owner, database):
    store = database.store()
    batch = batch_of(take(store, 0), ("a", 50), ("b", BAD))
    for state in OF_ELSE:
        owner.execute(ALLOW)
        refuse(owner, bad=f"ERRCODE = '{state}'")
        with pytest.raises(StoreUnavailable, match=rf"SQLSTATE {state}\), function refuse") as told:
            write(store, batch)
        assert "it is rater" not in str(told.value)
        assert ("--batch-size" in str(told.value)) is (state == "57014")
        assert_nothing_written(database, store)
    owner.execute(ALLOW)
    write(store, batch)
    assert raters(database) == {"a", "b"}
    assert database.letters() == []


def test_trouble_in_the_middle_of_the_search_leaves_nothing_behind(owner, database):
    refuse(owner, bad="ERRCODE = '23514'", worse="ERRCODE = '53100'")
    store = database.store()
    batch = batch_of(take(store, 0), *[(f"u{n}", 50) for n in range(20)], ("b", BAD), *[("c", 50), ("d", WORSE)])
    with pytest.raises(StoreUnavailable):
        write(store, batch)
    assert_nothing_written(database, store)
    owner.execute(ALLOW)
    write(store, batch)
    assert len(raters(database)) == 23
    assert_consistent()


AUDIT = """
CREATE TABLE audit (rater_id int, value int CONSTRAINT lucky CHECK (value <> 13));
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit VALUES (NEW.rater_id, NEW.value);
    RETURN NULL;
END $$;
CREATE TRIGGER refuse AFTER INSERT OR UPDATE ON ratings_rating FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def test_a_violation_of_a_table_of_the_deployments_own_is_a_letter(owner, database):
    owner.execute(AUDIT)
    try:
        store = database.store()
        assert write(store, batch_of(take(store, 0), ("a", 50), ("b", BAD))).refused == 1
        assert owner.execute("SELECT value FROM audit").fetchall() == [(50,)]
    finally:
        owner.execute("DROP TABLE audit")
    assert raters(database) == {"a"}
    row = DeadLetter.objects.get()
    assert (row.field, row.reason) == (
        "",
        "the database refuses it: CheckViolation (SQLSTATE 23514), table audit, constraint lucky",
    )


def test_a_violation_of_our_bookkeeping_blames_no_rating(owner, database):
    store = database.store()
    claims = take(store, 0)
    for table in ("ratings_aggregatechange", "ratings_interning", "ingestion_deadletter", "ingestion_consumeroffset"):
        owner.execute(ALLOW)
        refuse(owner, bad=f"ERRCODE = '23514', TABLE = '{table}'")
        with pytest.raises(StoreUnavailable):
            write(store, batch_of(claims, ("a", 50), ("b", BAD)))
        assert_nothing_written(database, store)


@pytest.mark.parametrize(
    ("table", "rule", "field"),
    [
        ("ratings_record", "CHECK (external_id <> '1')", "recordId"),
        ("ratings_rater", "CHECK (user_id <> 'b')", "userId"),
        ("ratings_rating", "CHECK (value IS NULL OR value <> 13)", ""),
        ("ratings_recordaggregate", "CHECK (total < 60)", ""),
    ],
)
def test_a_constraint_is_named_with_its_table_and_the_field(owner, database, table, rule, field):
    owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT rule {rule}")
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 50), ("b", BAD)))
    for row in DeadLetter.objects.all():
        assert (row.field, row.reason) == (
            field,
            f"the database refuses it: CheckViolation (SQLSTATE 23514), table {table}, constraint rule",
        )
    assert [found[2] for found in database.letters()] == ([0, 1] if table == "ratings_record" else [1])
    assert_consistent()


def test_a_row_that_is_too_large_for_an_index_is_a_letter(owner, database):
    owner.execute(
        "CREATE FUNCTION long_text(user_id text) RETURNS text IMMUTABLE LANGUAGE sql AS $$"
        " SELECT string_agg(md5(n::text), '') FROM generate_series(1, CASE user_id WHEN 'long' THEN 500 END) AS n $$;"
        " CREATE INDEX ON ratings_rater (long_text(user_id))"
    )
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 50), ("long", 50)))
    assert raters(database) == {"a"}
    assert "ProgramLimitExceeded (SQLSTATE 54000)" in DeadLetter.objects.get().reason


def test_a_limit_on_a_sum_refuses_what_goes_over_it_and_no_more(owner, database):
    owner.execute("ALTER TABLE ratings_recordaggregate ADD CONSTRAINT rule CHECK (count <= 5)")
    store = database.store()
    write(store, batch_of(take(store, 0), *[(f"u{number}", 50) for number in range(9)]))
    assert (len(database.standing()), len(database.letters())) == (5, 4)
    assert_consistent()


@pytest.mark.parametrize("table", ["ingestion_deadletter", "ingestion_consumeroffset"])
def test_a_rule_on_our_own_tables_is_waited_out(owner, database, table):
    store = database.store()
    claim = take(store, 0)[0]
    owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT rule CHECK (partition < 0) NOT VALID")
    with pytest.raises(StoreUnavailable):
        write(store, Batch([part(claim, "a", letters=[letter(1)])]))
    assert_nothing_written(database, store)


def test_an_aggregate_that_has_drifted_stops_the_consumer_and_blames_no_rating(owner, database):
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 50)))
    owner.execute("UPDATE ratings_recordaggregate SET count = 0, total = 0")
    before = database.standing()
    with pytest.raises(StoreNotReady, match=r"check_aggregates --repair"):
        write(store, batch_of(take(store, 0), ("a", None)))
    assert (database.standing(), database.letters(), store.positions()) == (before, [], {0: 1})


def test_an_aggregate_that_is_missing_stops_the_consumer_too(owner, database):
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 50)))
    owner.execute("DELETE FROM ratings_recordaggregate")
    with pytest.raises(StoreNotReady, match=r"check_aggregates --repair"):
        write(store, batch_of(take(store, 0), ("b", 50)))
    assert store.positions() == {0: 1}


def test_a_statement_that_the_database_does_not_take_stops_the_consumer(owner, database):
    store = database.store()
    claims = take(store, 0)
    owner.execute("ALTER TABLE ratings_rating RENAME COLUMN previous TO former")
    try:
        with pytest.raises(StoreNotReady, match=r"manage\.py migrate.*previous"):
            write(store, batch_of(claims, ("a", 50)))
    finally:
        owner.execute("ALTER TABLE ratings_rating RENAME COLUMN former TO previous")


@pytest.fixture
def erased(monkeypatch):
    """Has rater "a" erased once, between the two steps of a search; what was erased."""
    erased = []

    def interned(sifter, batch):
        found = plain(sifter, batch)
        if not erased:
            erased.append(rater_erase(provider_id="", user_id="a"))
        return found

    plain = Sifter.interned
    monkeypatch.setattr(Sifter, "interned", interned)
    return erased


def test_a_rater_that_is_erased_during_the_search_is_looked_up_again(owner, database, erased):
    refuse(owner, bad="ERRCODE = '23514'")
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 50)))
    write(store, batch_of(take(store, 0), ("a", 20), ("b", BAD), ("c", 10)))
    assert len(erased) == 1
    assert raters(database) == {"a", "c"}
    assert len(database.letters()) == 1
    assert_consistent()


def test_a_batch_is_not_tried_out_by_a_trial_that_an_erasure_ended(owner, database, erased):
    refuse(owner, bad="ERRCODE = '53100'")
    store = database.store()
    write(store, batch_of(take(store, 0), ("a", 50)))
    with pytest.raises(StoreUnavailable):
        store.try_out(batch_of(take(store, 0), ("a", BAD)))
    assert len(erased) == 1
    assert_consistent()

"""`manage.py check_aggregates`: what it finds, what it mends, and what writers notice of it."""

import threading
from functools import partial
from random import Random

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from movieapp.progress import shown_progress
from ratings.checking import looking, repairing
from ratings.checking.id_space import IdSpace, id_spaces, numbers_are_left
from ratings.checking.looking import Fault, looks_at_everything
from ratings.checking.repairing import aggregates_repair
from ratings.checking.running import CheckReport, aggregates_check
from ratings.events import RatingEvent
from ratings.models import AggregateChange, RecordAggregate
from ratings.services import rater_erase, ratings_write_now
from tests import rating_tables
from tests.rating_tables import assert_consistent, own_connection, rows, wait_until_someone_waits_for

pytestmark = pytest.mark.django_db(transaction=True)

USERS = ["ann", "bob", "cat", "dan"]


def event(record, user, tenths):
    return RatingEvent("movie", str(record), "", user, tenths)


@pytest.fixture
def rated():
    """Records 0 to 9, each rated by four users, one of them with a tombstone; record 10 has nothing but tombstones."""
    events = [event(record, user, record + place) for record in range(10) for place, user in enumerate(USERS)]
    ratings_write_now([*events, event(3, "ann", None), event(10, "ann", 5)])
    ratings_write_now([event(10, "ann", None)])


def check(*arguments, code=0, capsys=None):
    with pytest.raises(SystemExit) as ended:
        call_command("check_aggregates", *arguments)
    assert ended.value.code == code
    return capsys.readouterr().out if capsys else ""


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def number(record):
    return rows("SELECT id FROM ratings_record WHERE external_id = %s", (str(record),))[0][0]


def versions():
    return dict(RecordAggregate.objects.values_list("record__external_id", "version"))


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(looking, "_LEAST_AT_ONCE", 10)
    monkeypatch.setattr(looking, "_PARTS", 10**6)


@pytest.mark.usefixtures("rated")
def test_true_aggregates_are_called_so_and_left_alone(capsys):
    before = versions()
    said = check(capsys=capsys)
    assert "Looked at 11 records and 41 ratings" in said
    assert "Every aggregate is what its ratings say." in said
    check("--repair")
    assert versions() == before


def test_empty_tables_are_fine(capsys):
    assert "Looked at 0 records and 0 ratings" in check(capsys=capsys)


@pytest.mark.usefixtures("rated", "small_parts")
def test_what_differs_is_told_and_repaired_once(capsys):
    execute("UPDATE ratings_recordaggregate SET count = count + 1, total = 7 WHERE mod(record_id, 2) = 0")
    execute(f"DELETE FROM ratings_recordaggregate WHERE record_id IN ({number(5)}, {number(10)})")
    broken = {record for (record,) in rows("SELECT record_id FROM ratings_recordaggregate WHERE mod(record_id, 2) = 0")}
    before = versions()
    said = check(code=1, capsys=capsys)
    assert f"{len(broken)} aggregates that differ from their ratings" in said
    assert "2 records without an aggregate" in said
    assert "movie:5: no aggregate; the ratings say 4 with a sum of 2.6" in said
    assert "check_aggregates --repair" in said
    assert versions() == before
    said = check("--repair", capsys=capsys)
    assert f"Repaired: {len(broken) + 2} aggregates" in said
    assert_consistent()
    after = versions()
    assert after["5"] > 10**12  # above whatever the lost one had
    assert {record for record in before if after[record] == before[record] + 1} == {
        record for record in before if number(record) in broken
    }
    assert "Every aggregate" in check("--repair", capsys=capsys)
    assert versions() == after


@pytest.mark.usefixtures("rated")
def test_a_repair_is_published(settings):
    settings.RATINGS_PUBLISH_AGGREGATES = True
    execute(f"UPDATE ratings_recordaggregate SET total = 7 WHERE record_id = {number(2)}")
    execute(f"DELETE FROM ratings_recordaggregate WHERE record_id IN ({number(5)}, {number(10)})")
    check("--repair")
    marked = dict(AggregateChange.objects.values_list("record__external_id", "version"))
    assert marked == {record: version for record, version in versions().items() if record in {"2", "5", "10"}}


@pytest.mark.usefixtures("rated", "small_parts")
def test_rows_that_no_write_path_makes_are_told_and_left(capsys):
    ghost = number(9) + 5
    rater, nobody = rows("SELECT min(id), max(id) + 1 FROM ratings_rater")[0]
    for record, its_rater in ((ghost, rater), (number(1), nobody)):
        key = f"{record}::bigint << 32 | {its_rater}, {record}, {its_rater}"
        execute(f"INSERT INTO ratings_rating (id, record_id, rater_id, value, written_at) VALUES ({key}, 5, now())")
    execute(f"UPDATE ratings_rating SET record_id = {number(2)} WHERE id = (SELECT min(id) FROM ratings_rating)")
    said = check("--repair", code=1, capsys=capsys)
    assert "1 rating or aggregate without a record" in said
    assert "1 rating without a rater" in said
    assert "1 rating under a wrong key" in said
    assert "They are left as they are" in said
    assert rows(f"SELECT count(*) FROM ratings_rating WHERE record_id = {ghost}") == [(1,)]


@pytest.mark.usefixtures("rated")
def test_named_records_alone(capsys):
    execute("UPDATE ratings_recordaggregate SET total = 7 WHERE count > 0")
    said = check("--record", "movie:2", "movie:4", "--repair", capsys=capsys)
    assert "Looked at 2 records and 8 ratings" in said
    assert "Repaired: 2 aggregates" in said
    assert set(rows("SELECT count(*) FROM ratings_recordaggregate WHERE total <> 7")) == {(3,)}  # and record 10
    with pytest.raises(CommandError, match="no record movie:77"):
        call_command("check_aggregates", "--record", "movie:77")
    with pytest.raises(CommandError, match="movie:1"):
        call_command("check_aggregates", "--record", "movie")


@pytest.mark.usefixtures("rated")
def test_a_check_writes_nothing_and_waits_for_nobody():
    execute("UPDATE ratings_recordaggregate SET total = 7 WHERE count > 0")
    with own_connection() as writer, writer.transaction():
        writer.execute("LOCK TABLE ratings_rating, ratings_recordaggregate IN SHARE ROW EXCLUSIVE MODE")
        writer.execute("SELECT FROM ratings_recordaggregate FOR UPDATE")
        check(code=1)


@pytest.mark.usefixtures("rated")
def test_a_write_that_comes_between_the_look_and_the_repair_is_not_lost():
    execute("UPDATE ratings_recordaggregate SET total = 7 WHERE count > 0")
    (look,) = looks_at_everything()
    ratings_write_now([event(4, "eve", 99), event(6, "ann", None)])
    assert sum(done.repaired for done in aggregates_repair(look.findings)) == 10
    assert_consistent()


@pytest.mark.usefixtures("rated")
@pytest.mark.parametrize("repair", [lambda found: list(aggregates_repair(found)), repairing._recompute])
def test_a_write_that_is_under_way_during_the_repair_is_not_lost(repair, monkeypatch):
    """It has written its ratings and holds the aggregate: the repair must wait, and then see what it wrote."""
    # To add what is missing waits for this writer too, but keeps out none that comes right after it.
    monkeypatch.setattr(repairing, "_ADD_MISSING", "SELECT 0 WHERE %(records)s::int[] IS NULL")
    execute("UPDATE ratings_recordaggregate SET total = 7 WHERE count > 0")
    (look,) = looks_at_everything()
    errors = []
    repairs = threading.Thread(target=guarded, args=(partial(repair, look.findings), errors), daemon=True)
    with own_connection() as writer, own_connection() as watcher:
        with writer.transaction():
            key = f"{number(4)}::bigint << 32 | (SELECT max(id) FROM ratings_rater)"
            changed = writer.execute(f"UPDATE ratings_rating SET value = 100 WHERE id = ({key})")
            assert changed.rowcount == 1
            writer.execute(
                "UPDATE ratings_recordaggregate SET total = total + 90, version = version + 1 WHERE record_id = %s",
                [number(4)],
            )
            repairs.start()
            wait_until_someone_waits_for(watcher, writer.info.backend_pid)
        repairs.join(timeout=30)
    assert not repairs.is_alive()
    assert errors == []
    assert_consistent()


def test_numbers_that_run_short_are_told(monkeypatch, capsys):
    assert {space.table for space in id_spaces()} == {"ratings_record", "ratings_rater"}
    assert numbers_are_left(databases=["default"]) == []
    assert numbers_are_left(databases=None) == []
    ratings_write_now([event(1, "ann", 5)])
    assert all(space.used > 0 and not space.is_short for space in id_spaces())
    execute("SELECT setval('ratings_rater_id_seq', 1800000000)")
    try:
        (warning,) = numbers_are_left(databases=["default"])
        assert "84% of the numbers for ratings_rater are used up" in str(warning)
        assert "Warning: 84% of the numbers for ratings_rater" in check(capsys=capsys)
    finally:
        execute("SELECT setval('ratings_rater_id_seq', (SELECT max(id) FROM ratings_rater))")
    assert IdSpace("t", round(0.8 * 2**31)).is_short


def guarded(work, errors):
    try:
        work()
    except BaseException as error:  # raised again by the thread that waits for all
        errors.append(error)
    finally:
        connections.close_all()


def write(seed, times):
    random = Random(seed)
    for _ in range(times):
        some = [
            event(random.randrange(12), random.choice(USERS), random.choice([None, *range(101)]))
            for _ in range(random.randint(1, 8))
        ]
        ratings_write_now(some)


def erase(times):
    for _ in range(times):
        rater_erase(provider_id="", user_id="dan")


def spoil(seed, times):
    """Adds to counts alone: whatever the write path then does stays within the table's constraints."""
    random = Random(seed)
    with own_connection() as vandal:
        for _ in range(times):
            vandal.execute(
                "UPDATE ratings_recordaggregate SET count = count + 1 WHERE record_id = (SELECT id FROM ratings_record"
                " WHERE external_id = %s)",
                [str(random.randrange(12))],
            )


def checked(repair, faults, stop):
    """Looks again and again until the writers have ended; notes what it has found."""
    while not stop.is_set():
        report = CheckReport()
        with shown_progress(title="", unit="", stream=None, quiet=True) as meter:
            aggregates_check(records=(), repair=repair, report=report, meter=meter)
        faults.extend(report.found.elements())


def run(writers, *, repair):
    faults, errors, stop = [], [], threading.Event()
    working = [threading.Thread(target=guarded, args=(work, errors), daemon=True) for work in writers]
    check = partial(checked, repair, faults, stop)
    checking = [threading.Thread(target=guarded, args=(check, errors), daemon=True) for _ in range(2)]
    for thread in working + checking:
        thread.start()
    for thread in working:
        thread.join(timeout=60)
    stop.set()
    for thread in checking:
        thread.join(timeout=60)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in working + checking)
    return faults


@pytest.mark.usefixtures("rated", "small_parts")
def test_writers_are_never_taken_for_differences():
    assert run([partial(write, seed, 60) for seed in range(3)] + [partial(erase, 10)], repair=False) == []
    rating_tables.assert_consistent()


@pytest.mark.usefixtures("rated", "small_parts")
def test_repairs_beside_writers_lose_nothing_and_block_nobody():
    writers = [partial(write, seed, 60) for seed in range(3)] + [partial(erase, 10), partial(spoil, 9, 40)]
    faults = run(writers, repair=True)
    assert Fault.DIFFERENT in faults
    check("--repair")
    rating_tables.assert_consistent()


def test_a_database_that_is_away_is_told(monkeypatch):
    def away(*_, **__):
        raise psycopg.OperationalError("connection refused\nmore")

    monkeypatch.setattr(psycopg, "connect", away)
    monkeypatch.setattr(psycopg.Connection, "connect", away)
    connection.close()
    with pytest.raises(CommandError, match=r"connection refused.*DATABASE_URL"):
        call_command("check_aggregates")

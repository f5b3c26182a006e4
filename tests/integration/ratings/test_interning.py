"""Ids are interned once, whoever asks and how often."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratings.errors import StaleIds
from ratings.events import RatingEvent
from ratings.interning import RATER_BITS, Interner
from ratings.models import Rater, Record
from ratings.services import rater_erase, rating_writes, ratings_write
from tests.examples import fixed
from tests.rating_events import events
from tests.rating_tables import own_connection, rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cursor() -> Iterator[psycopg.Cursor[Any]]:
    with own_connection() as connection, connection.cursor() as cursor:
        yield cursor


def event(record: str, user: str, provider: str = "") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, 50)


def interned(cursor: psycopg.Cursor[Any], interner: Interner, wanted: Sequence[RatingEvent]) -> list[int]:
    keys: list[int] = interner.intern(cursor, wanted).tolist()
    return keys


def ids_behind(key: int) -> tuple[str, str, str, str]:
    record = Record.objects.get(id=key >> RATER_BITS)
    rater = Rater.objects.get(id=key & (2**RATER_BITS - 1))
    return record.type, record.external_id, rater.provider_id, rater.user_id


class CountingCursor(psycopg.Cursor[Any]):
    """Counts its statements and may do something after each."""

    statements = 0

    def execute(self, query: Any, *args: Any, **options: Any) -> "CountingCursor":
        super().execute(query, *args, **options)
        self.statements += 1
        self.after(query if isinstance(query, bytes) else query.encode())
        return self

    def after(self, query: bytes) -> None: ...


def test_a_key_holds_the_record_and_the_rater(cursor: psycopg.Cursor[Any]) -> None:
    wanted = [event("1", "ann"), event("2", "ann"), event("1", "bob"), event("1", "ann", "imdb"), event("1", "ann")]
    keys = interned(cursor, Interner(), wanted)
    assert [ids_behind(key) for key in keys] == [(e.record_type, e.record_id, e.provider_id, e.user_id) for e in wanted]
    assert keys[0] == keys[4]
    assert len(set(keys)) == 4


def test_every_record_gets_an_aggregate_of_no_ratings(cursor: psycopg.Cursor[Any]) -> None:
    Interner().intern(cursor, [event("1", "ann"), event("2", "ann")])
    assert rows("SELECT count, total, version FROM ratings_recordaggregate") == [(0, 0, 0)] * 2


@fixed(30)
@given(wanted=st.lists(events, max_size=20))
def test_any_ids_find_themselves_again(wanted: list[RatingEvent]) -> None:
    with own_connection() as connection, connection.cursor() as cursor:
        keys = interned(cursor, Interner(), wanted)
        assert interned(cursor, Interner(), wanted) == keys
    for key, wanted_event in zip(keys, wanted, strict=True):
        assert ids_behind(key) == (
            wanted_event.record_type,
            wanted_event.record_id,
            wanted_event.provider_id,
            wanted_event.user_id,
        )


def test_the_largest_numbers_fit_the_key(cursor: psycopg.Cursor[Any]) -> None:
    cursor.execute("SELECT setval(pg_get_serial_sequence('ratings_record', 'id'), 2147483646)")
    cursor.execute("SELECT setval(pg_get_serial_sequence('ratings_rater', 'id'), 2147483646)")
    (key,) = interned(cursor, Interner(), [event("1", "ann")])
    assert key == (2147483647 << RATER_BITS) | 2147483647
    # Truncating the tables after a test does not take their numbers back.
    cursor.execute("SELECT setval(pg_get_serial_sequence('ratings_record', 'id'), 1)")
    cursor.execute("SELECT setval(pg_get_serial_sequence('ratings_rater', 'id'), 1)")


def test_repeats_burn_no_numbers(cursor: psycopg.Cursor[Any]) -> None:
    wanted = [event(str(number), f"user {number}") for number in range(100)]
    keys = interned(cursor, Interner(), wanted)
    for _ in range(5):
        assert interned(cursor, Interner(), wanted) == keys
    later = interned(cursor, Interner(), [event("new", "new")])[0]
    assert later >> RATER_BITS == max(key >> RATER_BITS for key in keys) + 1
    assert later & 0xFFFFFFFF == max(key & 0xFFFFFFFF for key in keys) + 1


def test_new_numbers_go_to_the_ids_they_were_given_to(cursor: psycopg.Cursor[Any]) -> None:
    """The texts do not come back with the numbers: these are told apart by their order alone, in any collation."""
    names = [
        f"{letter}{number}" for number in range(150) for letter in ("a", "B", "é", "ß", "\U0001f600", "\uffff", "_")
    ]
    Interner().intern(cursor, [event("1", name) for name in names[::3]])  # some are there already
    wanted = [event(name, name, provider) for name in names for provider in ("", "imdb")]
    interned(cursor, Interner(), wanted)
    users = {(rater.provider_id, rater.user_id): rater.id for rater in Rater.objects.all()}
    films = {record.external_id: record.id for record in Record.objects.all()}
    for memory in (Interner(), Interner(capacity=1)):  # found anew, and what was just added
        for start in range(0, len(wanted), 700):
            part = wanted[start : start + 700]
            keys = interned(cursor, memory, part)
            assert keys == [films[e.record_id] << RATER_BITS | users[e.provider_id, e.user_id] for e in part]


def test_new_ids_are_added_in_one_order_whatever_their_order_in_the_batch(cursor: psycopg.Cursor[Any]) -> None:
    """Two processes that add the same ids at once wait for each other's rows in that order: no deadlock."""
    interned(cursor, Interner(), [event(str(n * 37 % 101), f"user {n * 53 % 101}") for n in range(101)])
    users = [rater.user_id for rater in Rater.objects.order_by("id")]
    films = [record.external_id for record in Record.objects.order_by("id")]
    assert (users, films) == (sorted(users), sorted(films))


def test_added_ids_are_remembered_under_their_own_numbers(cursor: psycopg.Cursor[Any]) -> None:
    interner = Interner()
    wanted = [event(str(n * 7919 % 1000), str(n * 6361 % 1000)) for n in range(1000)]
    keys = interned(cursor, interner, wanted)
    assert interned(cursor, interner, wanted) == keys
    assert interned(cursor, Interner(), wanted) == keys  # as the database has them


def test_another_type_with_the_same_ids_has_its_own_numbers(cursor: psycopg.Cursor[Any]) -> None:
    wanted = [RatingEvent(kind, "1", provider, "ann", 5) for kind in ("movie", "book") for provider in ("", "imdb")]
    keys = interned(cursor, Interner(), wanted)
    assert len({key >> RATER_BITS for key in keys}) == 2
    assert len({key & 0xFFFFFFFF for key in keys}) == 2


def test_what_is_remembered_needs_no_statement() -> None:
    with own_connection() as connection, CountingCursor(connection) as cursor:
        interner = Interner()
        keys = interned(cursor, interner, [event("1", "ann"), event("2", "bob")])
        before = cursor.statements
        assert interned(cursor, interner, [event("2", "bob"), event("1", "ann")]) == keys[::-1]
        assert cursor.statements == before


def test_memory_is_bounded_and_correct_when_it_overflows(cursor: psycopg.Cursor[Any]) -> None:
    interner = Interner(capacity=10)
    wanted = [event(str(number), str(number)) for number in range(100)]
    truth = interned(cursor, Interner(), wanted)
    for start in range(0, 100, 4):
        assert interned(cursor, interner, wanted[start : start + 4]) == truth[start : start + 4]
        assert interner._records.remembered <= 10
        assert interner._raters.remembered <= 10
    assert interned(cursor, interner, wanted) == truth  # one batch beyond the capacity


def test_what_was_forgotten_is_looked_up_again(cursor: psycopg.Cursor[Any]) -> None:
    interner = Interner()
    (before,) = interned(cursor, interner, [event("1", "ann")])
    assert interner.generation == 0
    rater_erase(provider_id="", user_id="ann")
    assert interned(cursor, interner, [event("1", "ann")]) == [before]
    assert interner.generation == 0  # which a write will find stale
    interner.forget()
    (after,) = interned(cursor, interner, [event("1", "ann")])
    assert interner.generation == 1
    assert after >> RATER_BITS == before >> RATER_BITS
    assert after != before


def test_nothing_is_written_for_a_rater_who_is_erased_while_being_added() -> None:
    class ErasingCursor(CountingCursor):
        erasures = 0

        def after(self, query: bytes) -> None:
            if query.strip().startswith(b"INSERT INTO ratings_rater") and not self.erasures:
                self.erasures += 1
                rater_erase(provider_id="", user_id="ann")

    with own_connection() as connection, ErasingCursor(connection) as cursor:
        interner = Interner()
        writes = rating_writes(cursor, interner, [event("1", "ann")], [1])
        assert cursor.erasures == 1
        with pytest.raises(StaleIds), connection.transaction():
            ratings_write(cursor, writes)
        interner.forget()
        again = rating_writes(cursor, interner, [event("1", "ann")], [1])
        with connection.transaction():
            assert ratings_write(cursor, again).ratings == 1
    (key,) = again.ids.tolist()
    assert ids_behind(key) == ("movie", "1", "", "ann")


def test_interners_at_the_same_time_agree() -> None:
    wanted = [event(str(number % 40), f"user {number % 60}") for number in range(240)]
    found: list[list[int]] = []
    start = threading.Barrier(4)

    def intern(shift: int) -> None:
        mine = wanted[shift:] + wanted[:shift]
        with own_connection() as connection, connection.cursor() as cursor:
            interner = Interner(capacity=30)
            start.wait(timeout=10)
            keys = np.concatenate([interner.intern(cursor, mine[at : at + 16]) for at in range(0, 240, 16)]).tolist()
        found.append(keys[240 - shift :] + keys[: 240 - shift] if shift else keys)

    threads = [threading.Thread(target=intern, args=(shift,), daemon=True) for shift in (0, 16, 96, 160)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 4
    assert all(keys == found[0] for keys in found)
    assert (Record.objects.count(), Rater.objects.count()) == (40, 60)
    assert rows("SELECT count(*) FROM ratings_recordaggregate") == [(40,)]

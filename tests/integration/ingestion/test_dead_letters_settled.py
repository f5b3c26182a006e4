"""Replays and discards on the real tables: the time, what stands, who else is at it, what the database refuses."""

import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from django.db import connections

from ratings.errors import InvalidRating, StaleIds
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.services import rater_erase, rating_writes, ratings_write
from tests.dead_letters import T, event, kept_letter
from tests.rating_tables import assert_consistent, own_connection, rows, standing, wait_until_someone_waits_for
from workers.ingestion.dead_letters import settling
from workers.ingestion.dead_letters.selectors import LetterFilter, latest_id, letter_chunks
from workers.ingestion.dead_letters.settling import (
    Outcome,
    Settled,
    letter_replay_mended,
    letters_discard,
    letters_replay,
)
from workers.ingestion.errors import StoreNotReady, StoreUnavailable, UnknownDeadLetter
from workers.ingestion.models import DeadLetter

pytestmark = pytest.mark.django_db(transaction=True)

KEY = ("movie", "1", "", "ann")


def written(tenths: int | None, time: int) -> None:
    """A write of the one rating, as a consumer makes it."""
    with own_connection() as connection, connection.cursor() as cursor:
        writes = rating_writes(cursor, Interner(), [RatingEvent("movie", "1", "", "ann", tenths)], [time])
        with connection.transaction():
            ratings_write(cursor, writes)


def stands() -> tuple[int | None, int] | None:
    rating = standing("movie").get(KEY)
    return None if rating is None else (rating.tenths, rating.written_at)


def outcome_of(letter: DeadLetter) -> Outcome:
    (settled,) = letters_replay(letter_ids=[letter.pk])
    assert settled.letter_id == letter.pk
    assert_consistent()
    return settled.outcome


@pytest.fixture
def refusing_trigger() -> Iterator[None]:
    """The database refuses ratings of 13 tenths, with words that quote the row."""
    with own_connection() as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF NEW.value = 13 THEN RAISE EXCEPTION 'secret %', NEW; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON ratings_rating FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION refuse CASCADE")


def test_a_letter_is_applied_at_its_own_time_to_the_microsecond_and_is_gone() -> None:
    assert outcome_of(kept_letter(event(8.5))) is Outcome.APPLIED
    assert stands() == (85, T)
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("tenths", [50, None])
def test_an_older_write_gives_way(tenths: int | None) -> None:
    written(tenths, T - 1)
    assert outcome_of(kept_letter(event(8.5))) is Outcome.APPLIED
    assert stands() == (85, T)


@pytest.mark.parametrize("tenths", [50, None], ids=["put", "delete"])
@pytest.mark.parametrize("later", [0, 1, 1_000_000], ids=["at the same time", "next", "a second later"])
def test_a_write_that_is_not_older_stands(tenths: int | None, later: int) -> None:
    written(tenths, T + later)
    assert outcome_of(kept_letter(event(8.5))) is Outcome.SUPERSEDED
    assert stands() == (tenths, T + later)
    assert not DeadLetter.objects.exists()


def test_a_delete_is_replayed_too() -> None:
    written(50, T - 1)
    assert outcome_of(kept_letter(event(None))) is Outcome.APPLIED
    assert stands() == (None, T)


def test_the_same_write_a_second_time_is_applied_already() -> None:
    letters = [kept_letter(event(8.5), group=group) for group in ("one", "two")]
    assert [outcome_of(letter) for letter in letters] == [Outcome.APPLIED, Outcome.APPLIED]
    assert rows("SELECT count, total, version FROM ratings_recordaggregate") == [(1, 85, 1)]


@pytest.mark.parametrize("seed", range(6))
def test_of_letters_of_one_rating_the_last_in_time_stays_in_whatever_order_they_are_replayed(seed: int) -> None:
    random = Random(seed)
    tenths = random.sample(range(101), 8)
    letters = [kept_letter(event(value / 10), time=T + place) for place, value in enumerate(tenths)]
    ids = [letter.pk for letter in letters]
    random.shuffle(ids)
    part = random.choice([1, 3, 8])
    settled = [one for at in range(0, 8, part) for one in letters_replay(letter_ids=ids[at : at + part])]
    assert [one.letter_id for one in settled] == ids
    assert stands() == (tenths[-1], T + 7)
    assert {one.outcome for one in settled if one.letter_id == letters[-1].pk} == {Outcome.APPLIED}
    assert_consistent()


@pytest.mark.parametrize("part", [1, 2, 500])
def test_of_letters_of_the_same_time_the_last_in_the_partition_stays(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.ingestion.dead_letters.selectors._CHUNK_LETTERS", part)
    for value in (1, 2, 3):
        kept_letter(event(value))
    letters = LetterFilter().letters()
    for ids in letter_chunks(letters, up_to=latest_id(letters)):
        letters_replay(letter_ids=ids)
    assert stands() == (30, T)
    assert not DeadLetter.objects.exists()


def test_what_fails_again_is_kept_with_its_new_reason_and_the_others_go_on() -> None:
    bad = kept_letter(event(11), field="", reason="old")
    good = kept_letter(event(7))
    assert letters_replay(letter_ids=[bad.pk, good.pk]) == [
        Settled(bad.pk, Outcome.FAILED, "ratingValue", "11 is not a number from 0 to 10 with at most one decimal"),
        Settled(good.pk, Outcome.APPLIED),
    ]
    kept = DeadLetter.objects.get()
    assert (kept.pk, kept.attempts, kept.field) == (bad.pk, 2, "ratingValue")
    assert kept.reason.startswith("11 is not")
    assert stands() == (70, T)


@pytest.mark.usefixtures("refusing_trigger")
def test_what_the_database_refuses_is_found_and_named_without_the_row() -> None:
    letters = [kept_letter(event(value, user=user)) for user, value in (("a", 1), ("ann", 1.3), ("c", 2))]
    earlier = kept_letter(event(0.5), time=T - 1)
    outcomes = letters_replay(letter_ids=[one.pk for one in [*letters, earlier]])
    assert [one.outcome for one in outcomes] == [Outcome.APPLIED, Outcome.FAILED, Outcome.APPLIED, Outcome.APPLIED]
    kept = DeadLetter.objects.get()
    assert (kept.pk, kept.attempts) == (letters[1].pk, 2)
    assert kept.reason == "the database refuses it: RaiseException (SQLSTATE P0001), function refuse"
    assert "secret" not in kept.reason
    assert stands() == (5, T - 1)
    assert_consistent()


@pytest.mark.usefixtures("refusing_trigger")
def test_a_letter_goes_through_once_the_database_takes_it() -> None:
    letter = kept_letter(event(1.3))
    assert outcome_of(letter) is Outcome.FAILED
    with own_connection() as connection:
        connection.execute("DROP TRIGGER refuse ON ratings_rating")
    assert outcome_of(letter) is Outcome.APPLIED


def test_without_a_time_nothing_is_overwritten() -> None:
    assert outcome_of(kept_letter(event(8), time=None)) is Outcome.FAILED
    assert stands() is None


def test_a_mended_value_is_applied_at_the_letters_time() -> None:
    letter = kept_letter(b"{")
    assert letter_replay_mended(letter_id=letter.pk, value=event(6)) == Settled(letter.pk, Outcome.APPLIED)
    assert stands() == (60, T)
    assert not DeadLetter.objects.exists()


@pytest.mark.usefixtures("refusing_trigger")
def test_a_mended_value_that_is_refused_leaves_the_letter_as_it_was() -> None:
    letter = kept_letter(b"{", reason="old")
    with pytest.raises(InvalidRating, match="recordId"):
        letter_replay_mended(letter_id=letter.pk, value=b"{}")
    assert letter_replay_mended(letter_id=letter.pk, value=event(1.3)).outcome is Outcome.FAILED
    kept = DeadLetter.objects.get()
    assert (kept.attempts, kept.reason, bytes(kept.value or b"")) == (1, "old", b"{")


def test_a_letter_that_is_not_there_is_told() -> None:
    letter = kept_letter(event(1))
    assert letters_discard(letter_ids=[letter.pk, letter.pk + 1_000]) == [
        Settled(letter.pk, Outcome.DISCARDED),
        Settled(letter.pk + 1_000, Outcome.GONE),
    ]
    assert letters_replay(letter_ids=[letter.pk]) == [Settled(letter.pk, Outcome.GONE)]
    with pytest.raises(UnknownDeadLetter):
        letter_replay_mended(letter_id=letter.pk, value=event(1))
    assert stands() is None


def test_two_replays_at_once_apply_a_letter_once() -> None:
    ids = [kept_letter(event(1, user=f"u{number % 50}"), time=T + number).pk for number in range(300)]
    found: list[list[Settled]] = []
    start = threading.Barrier(3)

    def replay() -> None:
        start.wait()
        try:
            found.append([one for at in range(0, 300, 25) for one in letters_replay(letter_ids=ids[at : at + 25])])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=replay) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 3
    for outcomes in zip(*found, strict=True):
        assert sorted(one.outcome is Outcome.GONE for one in outcomes) == [False, True, True]
    assert not DeadLetter.objects.exists()
    assert_consistent()


def test_a_person_who_is_erased_meanwhile_does_not_come_back_under_the_old_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written(50, T - 1)
    letter = kept_letter(event(8))
    real, erased = settling.ratings_write_late, []

    def write(cursor: Any, writes: Any) -> Any:
        if not erased:
            erased.append(True)
            raise StaleIds("erased meanwhile")
        return real(cursor, writes)

    monkeypatch.setattr(settling, "ratings_write_late", write)
    assert outcome_of(letter) is Outcome.APPLIED
    assert stands() == (80, T)


def test_an_erasure_that_waits_for_the_letters_does_not_deadlock() -> None:
    written(50, T - 1)
    letter = kept_letter(event(8))
    outcomes: list[Outcome] = []

    def replay() -> None:
        try:
            outcomes.append(letters_replay(letter_ids=[letter.pk])[0].outcome)
        finally:
            connections.close_all()

    with own_connection() as holder, own_connection() as watcher:
        with holder.transaction():
            holder.execute("SELECT pg_advisory_xact_lock(%s)", (0x6D6F7669,))
            thread = threading.Thread(target=replay)
            thread.start()
            wait_until_someone_waits_for(watcher, holder.info.backend_pid)
            # The replay holds no letter while it waits: an erasure deletes letters last.
            holder.execute("SET LOCAL lock_timeout = '500ms'")  # before the server would end either for the deadlock
            holder.execute("DELETE FROM ingestion_deadletter WHERE id = %s", (letter.pk,))
        thread.join(30)
    assert outcomes == [Outcome.GONE]
    assert stands() == (50, T - 1)
    rater_erase(provider_id="", user_id="ann")


def test_an_aggregate_that_does_not_fit_is_no_fault_of_a_letter() -> None:
    written(50, T - 1)
    letter = kept_letter(event(None), reason="old")
    with own_connection() as connection:
        connection.execute("UPDATE ratings_recordaggregate SET count = 0, total = 0")
    with pytest.raises(StoreNotReady, match="check_aggregates --repair"):
        letters_replay(letter_ids=[letter.pk])
    assert DeadLetter.objects.get().reason == "old"


def test_a_database_that_does_not_answer_leaves_the_letters_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = kept_letter(event(8), reason="old")
    real = settling.interning_share

    def lost(cursor: Any) -> None:
        with own_connection() as other:
            other.execute("SELECT pg_terminate_backend(%s)", (cursor.connection.info.backend_pid,))
        real(cursor)

    monkeypatch.setattr(settling, "interning_share", lost)
    with pytest.raises(StoreUnavailable):
        letters_replay(letter_ids=[letter.pk])
    monkeypatch.undo()
    connections.close_all()
    assert DeadLetter.objects.get().attempts == 1
    assert outcome_of(letter) is Outcome.APPLIED

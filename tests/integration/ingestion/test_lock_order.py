"""A consumer and a person who replay the same message at once: all lock in one order, so neither is rolled back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connections

from tests.contract.test_refused_events import ALLOW, REFUSE, UNLUCKY, batch_of
from tests.dead_letters import event
from tests.ingestion_stores import PostgresDatabase, letter, take, write
from tests.rating_tables import assert_consistent, own_connection, rows, wait_until_someone_waits_for
from tests.waiting import wait_until
from workers.ingestion.dead_letters import settling
from workers.ingestion.dead_letters.settling import Outcome, letters_replay
from workers.ingestion.models import ConsumerOffset, DeadLetter

pytestmark = pytest.mark.django_db(transaction=True)

WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def database(transactional_db: None) -> Iterator[PostgresDatabase]:
    with own_connection() as owner:
        owner.execute(REFUSE)
        with closing(PostgresDatabase()) as database:
            yield database
        owner.execute(ALLOW)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that a replay has begun its transaction, with the server's process id."""
    begun: list[int] = []
    real = settling.interning_share

    def counted(cursor: Any) -> None:
        begun.append(cursor.connection.info.backend_pid)
        real(cursor)

    monkeypatch.setattr(settling, "interning_share", counted)
    return begun


class Meanwhile(threading.Thread):
    """Does something in a thread of its own; `ended` raises what it has raised, and returns what it has returned."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work
        self._answer: Any = None
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._answer = self._work()
        except Exception as error:
            self._error = error
        finally:
            connections.close_all()

    def ended(self) -> Any:
        self.join(30)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error
        return self._answer


def read_before(database: PostgresDatabase, *places: int, more: tuple[tuple[str, int], ...] = ()) -> Any:
    """Reads a rating of ann, and letters with another one of hers at these places; then all of it may be read again.

    The place of a letter is its offset; their ids are in the order of `places`.
    """
    store = database.store()
    batch = batch_of(
        take(store, 0), ("ann", 50), *more, letters=[letter(at, value=event(8.5)) for at in sorted(places)]
    )
    for at in places:
        DeadLetter.objects.create(
            group="rating", cluster_id="cluster-1", topic_id="topic-1", topic="ratings", partition=0, offset=at,
            value=event(8.5), timestamp="2023-11-14T22:13:20Z", reason="for a test",
        )  # fmt: skip
    write(store, batch)
    ConsumerOffset.objects.update(next_offset=0)
    return lambda: write(store, batch)


@pytest.mark.parametrize("more", [(), (("bob", UNLUCKY),)], ids=["plain", "with a refused event"])
def test_a_replay_and_a_second_reading_of_the_same_letter_and_rating(
    database: PostgresDatabase, replays: list[int], monkeypatch: pytest.MonkeyPatch, more: tuple[tuple[str, int], ...]
) -> None:
    """The replay has its letter, the consumer comes up to where it must wait, and then the replay wants the rating."""
    read_again = read_before(database, 5, more=more)
    real, reading = settling.ratings_write_late, []

    def write_late(cursor: Any, writes: Any) -> Any:
        with own_connection() as watcher:
            reading.append(Meanwhile(read_again))
            wait_until_someone_waits_for(watcher, cursor.connection.info.backend_pid)
        return real(cursor, writes)

    monkeypatch.setattr(settling, "ratings_write_late", write_late)
    kept = DeadLetter.objects.get(offset=5)
    (settled,) = letters_replay(letter_ids=[kept.pk])
    (consumer,) = reading
    consumer.ended()
    assert len(replays) == 1
    assert settled.outcome is Outcome.SUPERSEDED  # of the same time as the one that stands
    assert DeadLetter.objects.get(offset=5).pk > kept.pk  # read again after the replay: a letter anew
    assert_consistent()


def test_a_replay_and_a_second_reading_of_the_same_two_letters(database: PostgresDatabase, replays: list[int]) -> None:
    """The one with the lower id has the higher offset, and is held until both wait."""
    read_again = read_before(database, 6, 5)
    first, second = DeadLetter.objects.order_by("pk")
    assert (first.offset, second.offset) == (6, 5)
    with own_connection() as holder, own_connection() as watcher, holder.transaction():
        holder.execute("SELECT 1 FROM ingestion_deadletter WHERE id = %s FOR UPDATE", [first.pk])
        person = Meanwhile(lambda: letters_replay(letter_ids=[first.pk, second.pk]))
        wait_until_someone_waits_for(watcher, holder.info.backend_pid)
        consumer = Meanwhile(read_again)
        wait_until(lambda: len(watcher.execute(WAITING).fetchall()) == 2)
    assert {one.outcome for one in person.ended()} == {Outcome.SUPERSEDED}
    consumer.ended()
    assert len(replays) == 1
    assert rows('SELECT "offset", attempts FROM ingestion_deadletter ORDER BY 1') == [(5, 1), (6, 1)]
    assert_consistent()


def test_a_consumer_that_waits_for_an_erasure_holds_no_position(database: PostgresDatabase) -> None:
    """A take-over gets the position at once, and does not wait for somebody who waits."""
    read_again = read_before(database, 5)
    with own_connection() as eraser, own_connection() as watcher:
        with eraser.transaction():
            eraser.execute("SELECT pg_advisory_xact_lock(%s)", [0x6D6F7669])
            consumer = Meanwhile(read_again)
            wait_until_someone_waits_for(watcher, eraser.info.backend_pid)
            watcher.execute("SET lock_timeout = '500ms'")
            watcher.execute("SELECT 1 FROM ingestion_consumeroffset FOR UPDATE")
        consumer.ended()
    assert ConsumerOffset.objects.get().next_offset > 0

"""Consumers, a second group, commands and erasures at the same time on the same few keys: no drift and no deadlock."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import psycopg
import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from ratings.errors import StaleIds
from ratings.events import MAX_TENTHS, RatingEvent
from ratings.interning import Interner
from ratings.memory import MemoryRatings
from ratings.services import rater_erase, rating_delete, rating_put, rating_writes, ratings_write, ratings_write_now
from tests import rating_tables
from tests.examples import fixed, random

pytestmark = pytest.mark.django_db(transaction=True)
PAST = 1_000_000_000_000_000
READERS = ["ann", "bob", "joe"]
COMMANDERS = ["cat", "eve"]
ERASED = ["dan"]

TimedEvent = tuple[RatingEvent, int]


@pytest.fixture(autouse=True)
def publishing(settings: Any) -> None:
    """With every lock that a writer can take."""
    settings.RATINGS_PUBLISH_AGGREGATES = True


@dataclass(frozen=True)
class Size:
    """How much a run does."""

    records: int
    events: int
    commands: int
    erasures: int


SHORT = Size(records=12, events=400, commands=60, erasures=5)
LONG = Size(records=30, events=6_000, commands=600, erasures=40)


class Run:
    """Three partitions and what is done with them; all but the threads' pace comes from the seed."""

    def __init__(self, seed: int, size: Size) -> None:
        self.random = Random(seed)
        self.size = size
        self.kind = rating_tables.new_type()
        self.partitions = [self._partition(number) for number in range(3)]
        self.errors: list[BaseException] = []
        self._start: threading.Barrier | None = None

    def _partition(self, number: int) -> list[TimedEvent]:
        events, time = [], 0
        for _ in range(self.size.events):
            # Some events are equally old and many older than what another partition has brought meanwhile.
            time += self.random.choice([0, 1, 1, 40])
            events.append((self.any_event(READERS + COMMANDERS + ERASED), PAST + time * 3 + number))
        return events

    def any_event(self, users: Sequence[str]) -> RatingEvent:
        tenths = None if self.random.random() < 0.25 else self.random.randint(0, MAX_TENTHS)
        return RatingEvent(
            self.kind, str(self.random.randrange(self.size.records)), "", self.random.choice(users), tenths
        )

    def batches(self, events: Sequence[TimedEvent]) -> list[Sequence[TimedEvent]]:
        found, start = [], 0
        while start < len(events):
            end = start + self.random.randint(1, 60)
            found.append(events[start:end])
            start = end
        return found

    def threads(self, works: Sequence[Callable[[], None]]) -> None:
        """Runs all at once; raises the first error, and a failure when one does not end."""
        self._start = threading.Barrier(len(works))
        threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        if self.errors:
            raise self.errors[0]
        assert not any(thread.is_alive() for thread in threads)

    def _guarded(self, work: Callable[[], None]) -> None:
        assert self._start is not None
        try:
            self._start.wait(timeout=30)
            work()
        except BaseException as error:  # raised again by the thread that waits for all
            self.errors.append(error)
        finally:
            connections.close_all()


def consume(batches: Sequence[Sequence[TimedEvent]], *, planner: Sequence[str] = ()) -> None:
    """Writes the batches in their order, each in one transaction, as a consumer does."""
    with rating_tables.own_connection() as connection, connection.cursor() as cursor:
        for setting in planner:
            connection.execute(f"SET {setting} = off")
        interner = Interner(capacity=10)
        for batch in batches:
            write_batch(connection, cursor, interner, batch)


def write_batch(
    connection: psycopg.Connection[Any], cursor: psycopg.Cursor[Any], interner: Interner, batch: Sequence[TimedEvent]
) -> None:
    while True:
        writes = rating_writes(cursor, interner, [event for event, _ in batch], [time for _, time in batch])
        try:
            with connection.transaction():
                ratings_write(cursor, writes)
        except StaleIds:
            interner.forget()
        else:
            return


def command(events: Sequence[RatingEvent]) -> None:
    """Puts and deletes one by one, now and then several at once, as REST, gRPC and the admin do."""
    for number, event in enumerate(events):
        if number % 10 == 9:
            ratings_write_now([event, events[number - 5], events[number - 3]])
        elif event.tenths is None:
            rating_delete(
                record_type=event.record_type,
                record_id=event.record_id,
                provider_id=event.provider_id,
                user_id=event.user_id,
            )
        else:
            rating_put(
                record_type=event.record_type,
                record_id=event.record_id,
                provider_id=event.provider_id,
                user_id=event.user_id,
                tenths=event.tenths,
            )


def commanded(events: Sequence[RatingEvent]) -> dict[tuple[str, str], int | None]:
    """What `command` leaves behind, by record and user."""
    left: dict[tuple[str, str], int | None] = {}
    for number, event in enumerate(events):
        for one in [event, events[number - 5], events[number - 3]] if number % 10 == 9 else [event]:
            left[one.record_id, one.user_id] = one.tenths
    return left


def erase(times: int) -> None:
    for _ in range(times):
        for user in ERASED:
            rater_erase(provider_id="", user_id=user)


def check(seed: int, size: Size) -> None:
    run = Run(seed, size)
    commands = [[run.any_event([user]) for _ in range(size.commands)] for user in COMMANDERS]
    replayed = [event for partition in run.partitions for event in partition[run.random.randrange(len(partition)) :]]
    planner = ["enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"]
    run.threads(
        [partial(consume, run.batches(partition), planner=planner) for partition in run.partitions]
        + [partial(consume, run.batches(replayed))]
        + [partial(command, events) for events in commands]
        + [partial(erase, size.erasures)]
    )
    rating_tables.assert_consistent()
    assert_expected(run, commands)
    erase(1)
    assert not any(key[3] in ERASED for key in rating_tables.standing(run.kind))
    rating_tables.assert_consistent()


def assert_expected(run: Run, commands: Sequence[Sequence[RatingEvent]]) -> None:
    """What nobody commanded or erased is as the partitions say; a command beats every event, which all are older."""
    model = MemoryRatings(clock=lambda: 0)
    for partition in run.partitions:
        model.write([event for event, _ in partition], [time for _, time in partition])
    found = rating_tables.standing(run.kind)
    last = {key: tenths for events in commands for key, tenths in commanded(events).items()}
    for key, standing in model.standing().items():
        if key[3] in ERASED:
            continue
        if (key[1], key[3]) in last:
            assert found[key].tenths == last[key[1], key[3]]
        else:
            assert found[key] == standing
    known = {(key[1], key[3]) for key in model.standing()} | set(last)
    assert {(key[1], key[3]) for key in found} <= known


@fixed(6, shrink=False)
@given(seed=st.integers(0, 2**32))
def test_concurrent_writers_leave_what_one_alone_would(seed: int) -> None:
    check(seed, SHORT)


@pytest.mark.soak
@random(60, shrink=False)
@given(seed=st.integers(0, 2**32))
def test_concurrent_writers_leave_what_one_alone_would_at_length(seed: int) -> None:
    check(seed, LONG)

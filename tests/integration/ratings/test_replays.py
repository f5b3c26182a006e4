"""A batch that was written before costs no lock, only time: what is new in it is written all the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

import pytest

from ratings import services
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.memory import MemoryRatings
from ratings.services import Written, rating_writes, ratings_write
from tests.rating_tables import aggregates, assert_consistent, new_type, own_connection, rows, standing

pytestmark = pytest.mark.django_db(transaction=True)

T = 1_600_000_000_000_000
COUNT = 3_000

Timed = tuple[RatingEvent, int]


def write(timed: Sequence[Timed]) -> Written:
    with own_connection() as connection, connection.cursor() as cursor:
        writes = rating_writes(cursor, Interner(), [event for event, _ in timed], [time for _, time in timed])
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            return ratings_write(cursor, writes)


def first_writes(kind: str) -> list[Timed]:
    """Of `COUNT` ratings, one in ten of them a tombstone."""
    values = [None if n % 10 == 0 else n % 101 for n in range(COUNT)]
    return [(RatingEvent(kind, str(n % 40), "", str(n), value), T) for n, value in enumerate(values)]


@contextmanager
def looking() -> Iterator[list[bool]]:
    """What each batch in the block was taken for."""
    seen: list[bool] = []
    is_replay = services.is_replay

    def noted(*args: object, **options: object) -> bool:
        seen.append(is_replay(*args, **options))  # type: ignore[arg-type]
        return seen[-1]

    with patch("ratings.services.is_replay", noted):
        yield seen


def test_a_replay_is_recognised_and_a_first_reading_is_none() -> None:
    kind = new_type()
    batch = first_writes(kind)
    newer = [(event, T + 1) for event, _ in batch]
    with looking() as seen:
        for timed in (batch, batch, newer, batch, newer, newer[:999]):
            write(timed)
    assert seen == [False, True, False, True, True, False]  # the last has too few for a sample to be worth it


def test_a_replay_waits_for_nobody() -> None:
    batch = first_writes(new_type())
    assert write(batch).ratings == COUNT
    with own_connection() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT FROM ratings_rating FOR UPDATE")
        assert write(batch) == Written(0, 0)
        holder.rollback()


@pytest.mark.parametrize("seed", range(3))
def test_what_is_new_among_a_replay_is_written(seed: int) -> None:
    random = Random(seed)
    kind = new_type()
    batch = first_writes(kind)
    mixed = [
        (RatingEvent(kind, event.record_id, "", event.user_id, random.choice([None, event.tenths, 7])), time + shift)
        if random.random() < 0.3
        else (event, time)
        for event, time in batch
        for shift in [random.choice([-1, 0, 0, 1])]
    ] + [(RatingEvent(kind, str(n % 50), "", f"new {n}", n), T + random.choice([-5, 0, 5])) for n in range(100)]
    model = MemoryRatings(clock=lambda: 0)
    with looking() as seen:
        for timed in (batch, mixed, mixed, batch):
            write(timed)
            model.write([event for event, _ in timed], [time for _, time in timed])
            assert standing(kind) == model.standing()
            assert aggregates(kind) == model.aggregates()
    assert seen == [False, True, True, True]
    assert_consistent()


def test_what_was_not_committed_yet_is_no_replay() -> None:
    """Another writer holds the same rows, not committed: they are waited for like any others."""
    batch = first_writes(new_type())
    with own_connection() as holder, holder.cursor() as cursor:
        writes = rating_writes(cursor, Interner(), [event for event, _ in batch], [time for _, time in batch])
        holder.execute("BEGIN")
        ratings_write(cursor, writes)
        holder.rollback()
    assert write(batch).ratings == COUNT
    assert rows("SELECT count(*) FROM ratings_rating") == [(COUNT,)]

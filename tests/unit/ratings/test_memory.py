"""The in-memory ratings, on examples that a reader can check by eye; the shared contract is in tests/contract."""

import pytest

from ratings.events import RatingEvent
from ratings.memory import MemoryRatings, StandingRating

KEY = ("movie", "1", "", "ann")


def event(tenths: int | None) -> RatingEvent:
    return RatingEvent(*KEY, tenths)


def test_the_clock_is_the_callers() -> None:
    ratings = MemoryRatings(clock=lambda: 1_000)
    ratings.write_now([event(45)])
    assert ratings.standing() == {KEY: StandingRating(45, 1_000)}


def test_what_is_written_now_comes_just_after_a_time_ahead_of_the_clock() -> None:
    ratings = MemoryRatings(clock=lambda: 1_000)
    ratings.write([event(45)], [5_000])
    ratings.write_now([event(None)])
    assert ratings.standing() == {KEY: StandingRating(None, 5_001)}


def test_what_stands_is_a_copy() -> None:
    ratings = MemoryRatings(clock=lambda: 0)
    ratings.standing()[KEY] = StandingRating(1, 1)
    assert ratings.standing() == {}


def test_each_event_has_a_time() -> None:
    with pytest.raises(ValueError, match="shorter"):
        MemoryRatings(clock=lambda: 0).write([event(45)], [])

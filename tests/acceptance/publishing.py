"""Publishing under test: who writes ratings meanwhile, and what followers of the topic must end with."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connections

from ratings.events import RatingEvent
from ratings.services import ratings_write_now
from tests.published_aggregates import assert_versions_never_fall, figures, followed, in_the_database, read_topic
from tests.rating_tables import assert_consistent, rows

ON = {"RATINGS_PUBLISH_AGGREGATES": "true"}
PARTITIONS = 3


@pytest.fixture(autouse=True)
def publishing(settings):
    settings.RATINGS_PUBLISH_AGGREGATES = True


@pytest.fixture
def topic(make_topic):
    return make_topic(partitions=PARTITIONS, cleanup_policy="compact")


def write(seed=1, *, records=40, rounds=1):
    draw = random.Random(seed)
    for _ in range(rounds):
        users = [f"u{draw.randrange(60)}" for _ in range(5)]
        events = [
            RatingEvent("movie", str(draw.randrange(records)), "", user, draw.choice([None, *range(0, 101, 5)]))
            for user in users
        ]
        ratings_write_now(events)


@contextmanager
def load(seed=7) -> Iterator[Callable[[], None]]:
    """Writes all the time beside the block, as REST and the admin do; what it yields raises when that has failed."""
    stop, errors = threading.Event(), []

    def run() -> None:
        try:
            number = seed * 1_000_000
            while not stop.wait(0.005):
                number += 1
                write(number)
        except BaseException as error:  # raised in the test's thread
            errors.append(error)
        finally:
            connections.close_all()

    def check() -> None:
        if errors:
            raise errors[0]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        stop.set()
        thread.join(timeout=30)
    check()


def nothing_left() -> bool:
    return rows("SELECT count(*) FROM ratings_aggregatechange") == [(0,)]


def assert_followers_are_right(servers, topic):
    """Whoever reads from the beginning now, committed messages or all, ends with the database."""
    expected = in_the_database()
    for isolation in ("read_committed", "read_uncommitted"):
        messages = read_topic(servers, topic, isolation=isolation)
        assert_versions_never_fall(messages)
    assert figures(followed(read_topic(servers, topic))) == expected
    assert_consistent()

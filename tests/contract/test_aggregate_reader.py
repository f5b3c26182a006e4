"""What a watcher's look at aggregates must tell, kept alike by Postgres and in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import pytest
from django.db import Error, connection

from ratings.events import RatingEvent
from ratings.memory_watching import MemoryAggregates
from ratings.postgres_watching import PostgresAggregates
from ratings.selectors import Aggregate, RecordKey
from ratings.services import rater_erase, ratings_write_now

pytestmark = pytest.mark.django_db(transaction=True)

ALIEN, BRAZIL, CUBE, DUNE = (("movie", name) for name in ("alien", "brazil", "cube é", "dune"))
NEVER_RATED = {ALIEN: 0, BRAZIL: 0, CUBE: 0, DUNE: 0}


class Watched(Protocol):
    """A reader, and the ways in which what it reads changes."""

    def changed(self, versions: Mapping[RecordKey, int]) -> Sequence[Aggregate]: ...

    def write_now(self, events: Sequence[RatingEvent]) -> None: ...

    def erase(self, *, provider_id: str, user_id: str) -> None: ...

    def close(self) -> None: ...


class WatchedPostgres(PostgresAggregates):
    """The real one, and the write path."""

    def write_now(self, events: Sequence[RatingEvent]) -> None:
        ratings_write_now(events)

    def erase(self, *, provider_id: str, user_id: str) -> None:
        rater_erase(provider_id=provider_id, user_id=user_id)


READERS: dict[str, Callable[[], Watched]] = {"memory": MemoryAggregates, "postgres": WatchedPostgres}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Iterator[Watched]:
    reader = READERS[request.param]()
    yield reader
    reader.close()


def put(reader: Watched, record: RecordKey, tenths: int | None, user: str = "ann") -> None:
    reader.write_now([RatingEvent(*record, "", user, tenths)])


def told(reader: Watched, versions: Mapping[RecordKey, int]) -> dict[RecordKey, tuple[int, int, int]]:
    """Count, total and version by record."""
    found = reader.changed(versions)
    states = {(one.record_type, one.record_id): (one.count, one.total, one.version) for one in found}
    assert len(states) == len(found)
    return states


def test_nobody_has_rated_anything(reader: Watched) -> None:
    assert told(reader, NEVER_RATED) == {}
    assert told(reader, {}) == {}


def test_only_what_has_another_version_is_told(reader: Watched) -> None:
    put(reader, ALIEN, 40)
    put(reader, ALIEN, 50, user="bob")
    put(reader, CUBE, 0)
    assert told(reader, NEVER_RATED) == {ALIEN: (2, 90, 2), CUBE: (1, 0, 1)}
    assert told(reader, {**NEVER_RATED, ALIEN: 2}) == {CUBE: (1, 0, 1)}
    assert told(reader, {ALIEN: 2, CUBE: 1}) == {}
    assert told(reader, {BRAZIL: 0}) == {}


def test_each_change_is_told_once_and_with_a_higher_version(reader: Watched) -> None:
    versions = dict(NEVER_RATED)
    for step, tenths in enumerate((10, 20, None, 30), start=1):
        put(reader, DUNE, tenths)
        count = int(tenths is not None)
        assert told(reader, versions) == {DUNE: (count, tenths or 0, step)}
        versions[DUNE] = step
        assert told(reader, versions) == {}


def test_saying_it_again_is_no_change(reader: Watched) -> None:
    put(reader, ALIEN, 40)
    put(reader, ALIEN, 40)
    put(reader, BRAZIL, None)
    assert told(reader, {**NEVER_RATED, ALIEN: 1}) == {}


def test_an_erasure_is_a_change(reader: Watched) -> None:
    put(reader, ALIEN, 40)
    put(reader, BRAZIL, 50)
    put(reader, BRAZIL, 60, user="bob")
    put(reader, CUBE, 70, user="bob")
    reader.erase(provider_id="", user_id="ann")
    assert told(reader, {**NEVER_RATED, ALIEN: 1, BRAZIL: 2, CUBE: 1}) == {ALIEN: (0, 0, 2), BRAZIL: (1, 60, 3)}


def test_a_version_ahead_of_the_tables_is_another_one(reader: Watched) -> None:
    put(reader, ALIEN, 40)
    assert told(reader, {ALIEN: 7, BRAZIL: 1, CUBE: 0}) == {ALIEN: (1, 40, 1), BRAZIL: (0, 0, 0)}


def test_what_is_watched_may_change_from_look_to_look(reader: Watched) -> None:
    put(reader, ALIEN, 40)
    put(reader, BRAZIL, 50)
    assert told(reader, {ALIEN: 0}) == {ALIEN: (1, 40, 1)}
    assert told(reader, {BRAZIL: 0}) == {BRAZIL: (1, 50, 1)}
    assert told(reader, {ALIEN: 0, BRAZIL: 0}) == {ALIEN: (1, 40, 1), BRAZIL: (1, 50, 1)}


def test_many_at_once(reader: Watched) -> None:
    events = [RatingEvent("movie", str(number), "", "ann", number % 101) for number in range(2_000)]
    reader.write_now(events)
    versions = {("movie", str(number)): number % 2 for number in range(2_000)} | {("book", "1"): 0}
    assert told(reader, versions).keys() == {("movie", str(number)) for number in range(0, 2_000, 2)}


def test_numbers_are_looked_up_anew_on_a_new_connection() -> None:
    """The database may have been restored: a record's number may be another one's."""
    reader = WatchedPostgres()
    put(reader, ALIEN, 40)
    put(reader, BRAZIL, 50)
    assert told(reader, {ALIEN: 1, BRAZIL: 1}) == {}
    connection.connection.close()
    with pytest.raises(Error):
        reader.changed({ALIEN: 1})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ratings_record SET external_id = 'x' || external_id")
        cursor.execute("UPDATE ratings_record SET external_id = 'alien' WHERE external_id = 'xbrazil'")
    assert told(reader, {ALIEN: 0, BRAZIL: 1}) == {ALIEN: (1, 50, 1), BRAZIL: (0, 0, 0)}
    reader.close()

"""Whatever the order, the batches and the replays: the tables equal the in-memory model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from ratings.errors import StaleIds
from ratings.events import MAX_TENTHS, RatingEvent
from ratings.interning import Interner
from ratings.memory import MemoryRatings, RatingKey, StandingRating
from ratings.services import rater_erase, rating_delete, rating_put, rating_writes, ratings_write, ratings_write_now
from tests import rating_tables
from tests.examples import fixed, random

pytestmark = pytest.mark.django_db(transaction=True)

PAST = 1_000_000_000_000_000
FUTURE = 4_000_000_000_000_000

# Few keys and few moments, so that nearly every write meets another one.
records = st.sampled_from(["1", "2", "3"])
people = st.sampled_from([("", "ann"), ("", "bob"), ("imdb", "ann")])
tenths = st.none() | st.sampled_from([0, 1, 50, MAX_TENTHS])
moments = st.sampled_from([PAST + n for n in range(5)] + [FUTURE + n for n in range(3)])

Drawn = tuple[str, tuple[str, str], int | None]
drawn_events = st.tuples(records, people, tenths)


def event(kind: str, drawn: Drawn) -> RatingEvent:
    record, (provider, user), value = drawn
    return RatingEvent(kind, record, provider, user, value)


class Tables:
    """The write path on one record type, as a consumer and the commands use it."""

    def __init__(self, kind: str, *, capacity: int) -> None:
        self.kind = kind
        self.interner = Interner(capacity=capacity)

    def write(self, events: Sequence[RatingEvent], times: Sequence[int]) -> None:
        connection.ensure_connection()
        with psycopg.Cursor(connection.connection) as cursor:
            while True:
                writes = rating_writes(cursor, self.interner, events, times)
                try:
                    with transaction.atomic():
                        ratings_write(cursor, writes)
                except StaleIds:
                    self.interner.forget()
                else:
                    return


@dataclass(frozen=True)
class Batch:
    """Events with their times, in one transaction."""

    events: list[tuple[Drawn, int]]

    def apply(self, tables: Tables, model: MemoryRatings) -> None:
        events = [event(tables.kind, drawn) for drawn, _ in self.events]
        times = [time for _, time in self.events]
        tables.write(events, times)
        model.write(events, times)


@dataclass(frozen=True)
class Commands:
    """What REST, gRPC and the admin do: one or several writes as of now."""

    events: list[Drawn]

    def apply(self, tables: Tables, model: MemoryRatings) -> None:
        events = [event(tables.kind, drawn) for drawn in self.events]
        model.write_now(events)
        if len(events) > 1:
            ratings_write_now(events)
        for one in events if len(events) == 1 else []:
            address = {
                "record_type": one.record_type,
                "record_id": one.record_id,
                "provider_id": one.provider_id,
                "user_id": one.user_id,
            }
            if one.tenths is None:
                rating_delete(**address)
            else:
                rating_put(**address, tenths=one.tenths)


@dataclass(frozen=True)
class Erasure:
    """Of one person."""

    person: tuple[str, str]

    def apply(self, tables: Tables, model: MemoryRatings) -> None:
        provider, user = self.person
        # People are shared by all examples; the model knows those of this one only.
        rater_erase(provider_id=provider, user_id=user)
        model.erase(provider_id=provider, user_id=user)


batches = st.builds(Batch, st.lists(st.tuples(drawn_events, moments), max_size=8))
commands = st.builds(Commands, st.lists(drawn_events, min_size=1, max_size=3))
erasures = st.builds(Erasure, people)
steps = st.lists(batches | batches | commands | erasures, max_size=8)


def assert_equal(kind: str, model: MemoryRatings, *, since: int, until: int) -> None:
    """Equal but for the database's clock, where the model says `since` and the tables some moment until `until`."""

    def rounded(standing: dict[RatingKey, StandingRating]) -> dict[RatingKey, StandingRating]:
        return {
            key: StandingRating(value.tenths, since if since <= value.written_at <= until else value.written_at)
            for key, value in standing.items()
        }

    assert rounded(rating_tables.standing(kind)) == rounded(model.standing())
    assert rating_tables.aggregates(kind) == model.aggregates()
    rating_tables.assert_consistent()


def now() -> int:
    ((moment,),) = rating_tables.rows("SELECT clock_timestamp()")
    return rating_tables.microseconds(moment)


def check_any_sequence(steps: list[Batch | Commands | Erasure], capacity: int) -> None:
    since = now()
    tables = Tables(rating_tables.new_type(), capacity=capacity)
    model = MemoryRatings(clock=lambda: since)
    for step in steps:
        step.apply(tables, model)
    assert_equal(tables.kind, model, since=since, until=now())


@fixed(120)
@given(steps=steps, capacity=st.sampled_from([1, 1000]))
def test_any_sequence_in_any_batches_equals_the_model(steps: list[Batch | Commands | Erasure], capacity: int) -> None:
    check_any_sequence(steps, capacity)


@pytest.mark.soak
@random(5_000)
@given(steps=st.lists(batches | batches | commands | erasures, max_size=30), capacity=st.sampled_from([1, 1000]))
def test_any_sequence_in_any_batches_equals_the_model_at_length(
    steps: list[Batch | Commands | Erasure], capacity: int
) -> None:
    check_any_sequence(steps, capacity)


@dataclass(frozen=True)
class Delivery:
    """Partitions, each with its events in offset order, and the order in which parts of them arrive.

    A move is a partition, how far to go back in it first, how many events come then, and whether a batch ends there.
    """

    partitions: list[list[tuple[Drawn, int]]]
    moves: list[tuple[int, int, int, bool]]


@st.composite
def deliveries(draw: st.DrawFn, *, events: int = 12) -> Delivery:
    count = draw(st.integers(1, 3))
    partitions = []
    for number in range(count):
        steps = draw(st.lists(st.tuples(drawn_events, st.sampled_from([0, 0, 1, 2])), max_size=events))
        time, partition = 0, []
        for drawn, step in steps:
            # Never backwards within a partition. Equal times occur within a partition only: between two of them
            # nothing but the arrival says which is the later.
            time += step
            partition.append((drawn, PAST + time * count + number))
        partitions.append(partition)
    move = st.tuples(st.integers(0, count - 1), st.sampled_from([0, 0, 0, 1, 5]), st.integers(1, 5), st.booleans())
    return Delivery(partitions, draw(st.lists(move, max_size=20)))


def arriving_batches(delivery: Delivery) -> list[list[tuple[Drawn, int]]]:
    """The batches in their order of arrival; every partition is driven to its end, also after going back."""
    position = [0] * len(delivery.partitions)
    batches: list[list[tuple[Drawn, int]]] = [[]]
    rest = [(number, 0, len(partition), True) for number, partition in enumerate(delivery.partitions)]
    for number, back, count, ends_batch in [*delivery.moves, *rest]:
        if back:
            # Whoever reads a partition again begins a batch of its own: one batch never holds an offset twice.
            batches.append([])
        start = max(position[number] - back, 0)
        batches[-1] += delivery.partitions[number][start : start + count]
        position[number] = min(start + count, len(delivery.partitions[number]))
        if ends_batch:
            batches.append([])
    return batches


def check_any_arrival(delivery: Delivery, capacity: int) -> None:
    tables = Tables(rating_tables.new_type(), capacity=capacity)
    for batch in arriving_batches(delivery):
        tables.write([event(tables.kind, drawn) for drawn, _ in batch], [time for _, time in batch])
    assert_as_in_order(tables.kind, delivery)


def assert_as_in_order(kind: str, delivery: Delivery) -> None:
    """The tables equal the model that read each partition once, one after the other."""
    model = MemoryRatings(clock=lambda: 0)
    for partition in delivery.partitions:
        model.write([event(kind, drawn) for drawn, _ in partition], [time for _, time in partition])
    assert rating_tables.standing(kind) == model.standing()
    assert rating_tables.aggregates(kind) == model.aggregates()
    rating_tables.assert_consistent()


@fixed(120)
@given(delivery=deliveries(), capacity=st.sampled_from([1, 1000]))
def test_any_order_of_arrival_and_any_replay_end_alike(delivery: Delivery, capacity: int) -> None:
    check_any_arrival(delivery, capacity)


@fixed(60)
@given(delivery=deliveries(), capacity=st.sampled_from([1, 1000]))
def test_batches_taken_for_replays_end_alike_too(delivery: Delivery, capacity: int) -> None:
    with patch("ratings.services.is_replay", return_value=True):
        check_any_arrival(delivery, capacity)


@pytest.mark.soak
@random(5_000)
@given(delivery=deliveries(events=40), capacity=st.sampled_from([1, 1000]))
def test_any_order_of_arrival_and_any_replay_end_alike_at_length(delivery: Delivery, capacity: int) -> None:
    check_any_arrival(delivery, capacity)


def test_the_deliveries_go_back_and_mix_partitions() -> None:
    """The strategy above is worth something: what it makes does repeat events, and partitions do overlap."""
    seen: list[Delivery] = []

    @fixed(60)
    @given(delivery=deliveries())
    def collect(delivery: Delivery) -> None:
        seen.append(delivery)

    collect()
    arrived: Callable[[Delivery], int] = lambda delivery: sum(map(len, arriving_batches(delivery)))  # noqa: E731
    assert sum(arrived(delivery) > sum(map(len, delivery.partitions)) for delivery in seen) >= 10
    assert (
        sum(
            len({d for p in delivery.partitions for d, _ in p}) < sum(map(len, delivery.partitions))
            for delivery in seen
        )
        >= 10
    )

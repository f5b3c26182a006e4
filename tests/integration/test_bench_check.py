"""The benchmark believes no rate of a wrong table: its check finds what is not as the events make it."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from ratings.events import decode_event
from ratings.interning import Interner
from ratings.models import Rater, Rating, RecordAggregate
from ratings.services import rating_writes, ratings_write
from tests.bench.ingest.errors import WrongResult
from tests.bench.ingest.events import stream
from tests.bench.ingest.expected import check, expected_of

pytestmark = pytest.mark.django_db

EVENTS = stream(400, deletes=0.2, seed=1)


@pytest.fixture
def checked() -> Callable[[], None]:
    """The check of the tables after the events were applied once."""
    decoded = [decode_event(payload) for payloads in EVENTS.payloads(100) for payload in payloads]
    with connection.cursor(), psycopg.Cursor[Any](connection.connection) as cursor:
        ratings_write(cursor, rating_writes(cursor, Interner(), decoded, range(1, len(decoded) + 1)))
    expected = expected_of(EVENTS)
    return lambda: check(connection.connection, expected)


def test_right_tables_pass(checked: Callable[[], None]):
    checked()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: Rating.objects.filter(value=None)[0].delete(),
        lambda: Rating.objects.filter(pk=Rating.objects.filter(value=50)[0].pk).update(value=51),
        lambda: RecordAggregate.objects.filter(pk=RecordAggregate.objects.filter(total__gt=1)[0].pk).update(total=1),
    ],
)
def test_a_single_wrong_row_is_found(checked: Callable[[], None], spoil: Callable[[], object]):
    spoil()

    with pytest.raises(WrongResult):
        checked()


def test_two_raters_with_each_others_values_are_found(checked: Callable[[], None]):
    record = next(pk for pk in Rating.objects.values_list("record_id", flat=True) if _two_values(pk))
    one, other = _two_values(record)
    Rating.objects.filter(pk=one.pk).update(value=other.value)
    Rating.objects.filter(pk=other.pk).update(value=one.value)

    with pytest.raises(WrongResult, match="weighted sum"):
        checked()


def _two_values(record: int) -> list[Rating]:
    found: dict[int | None, Rating] = {}
    for rating in Rating.objects.filter(record_id=record).exclude(value=None):
        weight = int(Rater.objects.get(pk=rating.rater_id).user_id) % 997
        if found and weight != int(next(iter(found.values())).rater.user_id) % 997:
            found.setdefault(rating.value, rating)
        elif not found:
            found[rating.value] = rating
    return list(found.values())[:2] if len(found) > 1 else []

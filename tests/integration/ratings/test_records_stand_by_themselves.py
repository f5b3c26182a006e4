"""Ratings do not need a movie: before one exists, and after it is gone."""

import pytest

from metadata.models import Movie
from metadata.services import movie_delete
from ratings.selectors import aggregate_get
from ratings.services import rating_put
from tests.rating_tables import assert_consistent, standing

pytestmark = pytest.mark.django_db(transaction=True)


def rate(record: str, tenths: int) -> None:
    rating_put(record_type="movie", record_id=record, provider_id="", user_id="ann", tenths=tenths)


def test_deleting_a_movie_leaves_its_ratings() -> None:
    Movie.objects.create(id="1", title="A movie")
    rate("1", 45)
    before = standing("movie")
    movie_delete(movie_id="1")
    assert not Movie.objects.exists()
    assert standing("movie") == before
    found = aggregate_get(record_type="movie", record_id="1")
    assert found is not None
    assert (found.count, found.total) == (1, 45)
    rate("1", 50)
    assert_consistent()


def test_a_record_may_be_rated_without_a_movie() -> None:
    rate("nobody knows it", 45)
    found = aggregate_get(record_type="movie", record_id="nobody knows it")
    assert found is not None
    assert found.average == 4.5

"""Movie details are the same from one query of the database and from the two services over gRPC."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from metadata.drafts import movie_draft
from metadata.errors import InvalidMovie, MovieNotFound, MoviesTooLarge
from metadata.selectors import movies_get
from metadata.services import movie_put
from movieapp.catalogue.clients import make_details_clients
from movieapp.catalogue.database_details import DatabaseDetails
from movieapp.catalogue.details import DetailsSource, MovieDetails, MovieRating
from movieapp.catalogue.grpc_details import GrpcDetails
from movieapp.rpc.errors import TooLarge
from ratings.services import rating_delete, rating_put
from tests.fixtures.grpc_server import GrpcServer
from workers.discovery.static import StaticRegistry

pytestmark = pytest.mark.django_db(transaction=True)

RATED = {"record_type": "movie", "record_id": "7", "provider_id": ""}
LONGEST = 10.0


@pytest.fixture
def services(grpc_server: GrpcServer) -> Iterator[DetailsSource]:
    """What both services say."""
    host, _, port = grpc_server("metadata", "ratings").rpartition(":")
    registry = StaticRegistry({"metadata": [(host, int(port))], "ratings": [(host, int(port))]})
    clients = make_details_clients(registry=registry, longest=LONGEST)
    yield GrpcDetails(clients, partial=False, longest=LONGEST)
    clients.close()


@pytest.fixture(params=["database", "grpc"])
def source(request: pytest.FixtureRequest) -> DetailsSource:
    if request.param == "database":
        return DatabaseDetails()
    services: DetailsSource = request.getfixturevalue("services")
    return services


def put(movie_id: str, title: str = "Alien", **fields: object) -> None:
    movie_put(movie_draft(movie_id=movie_id, title=title, **fields))


def shown(details: MovieDetails) -> dict[str, object]:
    """Everything that a caller can see of it."""
    assert details.metadata is not None
    assert not details.unavailable
    fields = ("id", "title", "description", "director", "year", "genres")
    rating = details.rating and asdict(details.rating)
    return {**{field: getattr(details.metadata, field) for field in fields}, "rating": rating}


def test_all_of_a_movie(source: DetailsSource) -> None:
    put("7", description="In space", director="Scott", year=1979, genres=["Horror", "Science fiction"])
    rating_put(**RATED, user_id="ann", tenths=45)
    rating_put(**RATED, user_id="ben", tenths=40)
    rating_put(**{**RATED, "record_type": "book"}, user_id="ann", tenths=0)
    assert shown(source.one("7", within=math.inf)) == {
        "id": "7",
        "title": "Alien",
        "description": "In space",
        "director": "Scott",
        "year": 1979,
        "genres": ["Horror", "Science fiction"],
        "rating": {"average": 4.25, "count": 2, "version": 2},
    }


def test_what_a_movie_need_not_have(source: DetailsSource) -> None:
    put("7")
    found = shown(source.one("7", within=5.0))
    assert (found["year"], found["genres"], found["director"], found["rating"]) == (None, [], "", None)


def test_a_mean_is_the_same_to_the_last_bit(source: DetailsSource) -> None:
    put("7")
    for user, tenths in enumerate((1, 2, 2)):
        rating_put(**RATED, user_id=str(user), tenths=tenths)
    assert source.one("7", within=5.0).rating == MovieRating(average=5 / 30, count=3, version=3)


def test_a_rating_of_zero_is_one_and_one_that_is_gone_is_none(source: DetailsSource) -> None:
    put("7")
    rating_put(**RATED, user_id="ann", tenths=0)
    assert source.one("7", within=5.0).rating == MovieRating(average=0.0, count=1, version=1)
    rating_delete(**RATED, user_id="ann")
    assert source.one("7", within=5.0).rating is None


def test_no_movie_even_where_there_are_ratings(source: DetailsSource) -> None:
    rating_put(**RATED, user_id="ann", tenths=45)
    with pytest.raises(MovieNotFound, match='no movie with the id "7"'):
        source.one("7", within=5.0)


def test_what_cannot_be_an_id(source: DetailsSource) -> None:
    for movie_id in ("", "x" * 129, "a\x00b", " "):
        with pytest.raises(InvalidMovie):
            source.one(movie_id, within=5.0)


def test_odd_ids_are_ids(source: DetailsSource) -> None:
    for movie_id in ("ü/ %", "7 "):
        put(movie_id)
        rating_put(**{**RATED, "record_id": movie_id}, user_id="ann", tenths=10)
        details = source.one(movie_id, within=5.0)
        assert details.rating
        assert details.metadata
        assert details.metadata.id == movie_id


class TestMany:
    def test_in_the_order_asked_for_and_who_is_missing(self, source: DetailsSource) -> None:
        for movie_id in ("6", "7", "8"):
            put(movie_id, title=f"Alien {movie_id}")
        rating_put(**RATED, user_id="ann", tenths=45)
        rating_put(**{**RATED, "record_id": "9"}, user_id="ann", tenths=45)
        found = source.many(["8", "9", "7", "5", "6"], within=5.0)
        assert [shown(one)["id"] for one in found.movies] == ["8", "7", "6"]
        assert [one.rating and one.rating.average for one in found.movies] == [None, 4.5, None]
        assert list(found.missing) == ["9", "5"]
        assert not found.unavailable

    def test_none_of_them(self, source: DetailsSource) -> None:
        assert source.many([], within=5.0).movies == []
        assert list(source.many(["5"], within=5.0).missing) == ["5"]


def test_more_than_a_caller_takes_is_no_outage(source: DetailsSource) -> None:
    ids = [str(number) for number in range(110)]
    for movie_id in ids:
        put(movie_id, description="\u00fc" * 20_000)
    with pytest.raises(TooLarge, match=r"^the answer has .* ask for fewer at a time"):
        source.many(ids, within=5.0)
    assert len(source.many(ids[:100], within=5.0).movies) == 100


def test_what_is_too_much_is_not_read_to_its_end(django_assert_num_queries: Any) -> None:
    ids = [str(number) for number in range(400)]
    for movie_id in ids[:110]:
        put(movie_id, description="\u00fc" * 20_000)
    # 1.9 MiB of fifty: in the third fifty it is enough.
    with django_assert_num_queries(3), pytest.raises(MoviesTooLarge):
        movies_get(movie_ids=ids)
    with django_assert_num_queries(2):
        assert list(movies_get(movie_ids=ids[50:150])) == ids[50:110]

"""MovieService of movieapp.v1, called as clients call it."""

import pytest

from metadata.drafts import movie_draft
from metadata.services import movie_put
from protos.movieapp.v1 import movie_pb2 as pb
from protos.movieapp.v1.movie_pb2_grpc import MovieServiceStub
from ratings.services import rating_delete, rating_put
from tests.integration.rpc.calls import WITHIN, refusal

RATED = {"record_type": "movie", "record_id": "7", "provider_id": "", "user_id": "ann"}


@pytest.fixture
def stub(grpc_channel):
    movie_put(movie_draft(movie_id="7", title="Alien", director="Scott", year=1979, genres=["Horror"]))
    return MovieServiceStub(grpc_channel)


def details(stub, movie_id="7"):
    return stub.GetMovieDetails(pb.GetMovieDetailsRequest(movie_id=movie_id), timeout=WITHIN)


def test_a_movie_that_nobody_has_rated_has_no_rating(stub):
    found = details(stub)
    assert (found.metadata.title, found.metadata.year, found.metadata.genres) == ("Alien", 1979, ["Horror"])
    assert not found.HasField("rating")
    assert not found.unavailable


def test_a_rated_movie_and_one_whose_ratings_are_gone(stub):
    rating_put(**RATED, tenths=45)
    rating_put(**{**RATED, "user_id": "ben"}, tenths=40)
    rating_put(**{**RATED, "record_type": "book"}, tenths=0)
    assert (details(stub).rating.average, details(stub).rating.count) == (4.25, 2)
    for user in ("ann", "ben"):
        rating_delete(**{**RATED, "user_id": user})
    assert not details(stub).HasField("rating")


def test_no_movie_even_where_there_are_ratings(stub):
    rating_put(**{**RATED, "record_id": "8"}, tenths=45)
    code, words = refusal(stub.GetMovieDetails, pb.GetMovieDetailsRequest(movie_id="8"))
    assert (code, words) == ("NOT_FOUND", 'there is no movie with the id "8"')


def test_what_cannot_be_an_id(stub):
    assert refusal(stub.GetMovieDetails, pb.GetMovieDetailsRequest()) == (
        "INVALID_ARGUMENT",
        "movie_id: it is empty",
    )


def test_many_in_the_order_of_the_request(stub):
    movie_put(movie_draft(movie_id="6", title="Aliens"))
    rating_put(**RATED, tenths=45)
    answer = stub.BatchGetMovieDetails(pb.BatchGetMovieDetailsRequest(movie_ids=["7", "9", "6", "7"]), timeout=WITHIN)
    assert [movie.metadata.id for movie in answer.movies] == ["7", "6"]
    assert [movie.rating.average if movie.HasField("rating") else None for movie in answer.movies] == [4.5, None]
    assert answer.missing_movie_ids == ["9"]
    assert not answer.unavailable

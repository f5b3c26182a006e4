"""The un-packaged names, called by a client that was generated from the tutorial's own messages."""

import pytest

from metadata.drafts import movie_draft
from metadata.selectors import movie_get
from metadata.services import movie_put
from protos.tutorial import movie_pb2 as pb
from protos.tutorial.movie_pb2_grpc import MetadataServiceStub, MovieServiceStub, RatingServiceStub
from ratings.selectors import aggregate_get
from tests.integration.rpc.calls import WITHIN, refusal

ALIEN = pb.Metadata(id="7", title="Alien", description="In space", director="Scott")
ASKED = pb.GetAggregatedRatingRequest(record_id="7", record_type="movie")


@pytest.fixture
def metadata(grpc_channel):
    return MetadataServiceStub(grpc_channel)


@pytest.fixture
def ratings(grpc_channel):
    return RatingServiceStub(grpc_channel)


@pytest.fixture
def movies(grpc_channel):
    return MovieServiceStub(grpc_channel)


def put_rating(ratings, value, user_id="ann"):
    request = pb.PutRatingRequest(user_id=user_id, record_id="7", record_type="movie", record_value=value)
    ratings.PutRating(request, timeout=WITHIN)


def test_from_no_rating_to_the_new_mean(metadata, ratings, movies):
    metadata.PutMetadata(pb.PutMetadataRequest(metadata=ALIEN), timeout=WITHIN)
    assert metadata.GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN).metadata == ALIEN
    asked = pb.GetMovieDetailsRequest(movie_id="7")
    assert movies.GetMovieDetails(asked, timeout=WITHIN).movie_details == pb.MovieDetails(rating=0, Metadata=ALIEN)
    assert refusal(ratings.GetAggregatedRating, ASKED) == ("NOT_FOUND", "ratings not found for the record")
    put_rating(ratings, 5)
    put_rating(ratings, 4, "ben")
    put_rating(ratings, 3, "ben")
    assert ratings.GetAggregatedRating(ASKED, timeout=WITHIN).rating_value == 4
    assert movies.GetMovieDetails(asked, timeout=WITHIN).movie_details == pb.MovieDetails(rating=4, Metadata=ALIEN)
    assert aggregate_get(record_type="movie", record_id="7").count == 2


def test_a_put_leaves_what_its_message_cannot_say(metadata):
    movie_put(movie_draft(movie_id="7", title="?", director="?", year=1979, genres=["Horror"]))
    metadata.PutMetadata(pb.PutMetadataRequest(metadata=pb.Metadata(id="7", title="Alien")), timeout=WITHIN)
    movie = movie_get(movie_id="7")
    assert (movie.title, movie.director, movie.year, movie.genres) == ("Alien", "", 1979, ["Horror"])


def test_what_is_refused(metadata, ratings, movies):
    assert refusal(metadata.GetMetadata, pb.GetMetadataRequest(movie_id="9"))[0] == "NOT_FOUND"
    assert refusal(movies.GetMovieDetails, pb.GetMovieDetailsRequest(movie_id="9"))[0] == "NOT_FOUND"
    for call, request, words in (
        (metadata.GetMetadata, pb.GetMetadataRequest(), "movie_id: "),
        (metadata.PutMetadata, pb.PutMetadataRequest(), "metadata: "),
        (metadata.PutMetadata, pb.PutMetadataRequest(metadata=pb.Metadata(id="7")), "title: "),
        (movies.GetMovieDetails, pb.GetMovieDetailsRequest(), "movie_id: "),
        (ratings.GetAggregatedRating, pb.GetAggregatedRatingRequest(record_id="7"), "record_type: "),
        (ratings.PutRating, pb.PutRatingRequest(record_id="7", record_type="movie"), "user_id: "),
    ):
        code, said = refusal(call, request)
        assert (code, said.startswith(words)) == ("INVALID_ARGUMENT", True), said


def test_what_is_no_rating(ratings):
    for value in (-1, 11, 2**31 - 1):
        request = pb.PutRatingRequest(user_id="ann", record_id="7", record_type="movie", record_value=value)
        code, words = refusal(ratings.PutRating, request)
        assert code == "INVALID_ARGUMENT"
        assert words.startswith(f"record_value: {value} is not")

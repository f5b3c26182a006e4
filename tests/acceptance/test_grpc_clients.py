"""What other people call us with: grpcurl, Python and npm's @grpc/grpc-js, under both names of every service."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from knox.models import AuthToken

from tests.fixtures.grpc_clients import CLIENTS, Answer, Call, Refused, by_grpcurl, by_python
from tests.fixtures.grpc_server import GrpcServer
from tests.fixtures.processes import Manage, StartManage
from tests.fixtures.topics import MakeTopic
from tests.integration.rest_client import user_with
from tests.waiting import wait_until


@pytest.fixture
def token(transactional_db: None) -> str:
    """Of somebody who may put movies and ratings."""
    writer = user_with("add_movie", "change_movie", "add_rating", "change_rating", name="client")
    return str(AuthToken.objects.create(writer)[1])


@pytest.fixture(params=CLIENTS)
def call(request: pytest.FixtureRequest, grpc_server: GrpcServer, token: str) -> Iterator[Call]:
    """To a server that offers everything."""
    with request.param(grpc_server(), token) as made:
        yield made


ALIEN = {"id": "7", "title": "Alien", "description": "In space", "director": "Scott"}
ASKED = {"movie_id": "7"}
RATED = {"record_id": "7", "record_type": "movie"}
NOT_RATED = ("NOT_FOUND", "ratings not found for the record")


def refusal(call: Call, name: str, message: Mapping[str, Any]) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        call(name, message)
    return refused.value.args


def test_metadata_ratings_and_details_under_both_names(call: Call) -> None:
    v1 = "movieapp.v1."
    ours = {**ALIEN, "year": 1979, "genres": ["Horror"]}
    assert call(f"{v1}MetadataService/PutMetadata", {"metadata": ours}) == {}
    assert call(f"{v1}MetadataService/GetMetadata", {"movie_id": "7"}) == {"metadata": ours}
    assert call(f"{v1}MovieService/GetMovieDetails", {"movie_id": "7"}) == {"metadata": ours}
    assert refusal(call, f"{v1}RatingService/GetAggregatedRating", RATED) == NOT_RATED
    assert call(f"{v1}RatingService/PutRating", {**RATED, "user_id": "ann", "value": 4.5}) == {}
    aggregate = {"average": 4.5, "count": "1", "version": "1"}
    assert call(f"{v1}RatingService/GetAggregatedRating", RATED) == {"rating": aggregate}
    assert call(f"{v1}MovieService/GetMovieDetails", {"movie_id": "7"}) == {"metadata": ours, "rating": aggregate}

    # The same catalogue on the tutorial's wire, which has no way to say "no rating" but 0.
    assert call("MovieService/GetMovieDetails", {"movie_id": "7"}) == {
        "movie_details": {"rating": 4.5, "Metadata": ALIEN}
    }
    theirs = {"id": "8", "title": "Brazil", "description": "Not in space", "director": "Gilliam"}
    assert call("MetadataService/PutMetadata", {"metadata": theirs}) == {}
    assert call("MetadataService/GetMetadata", {"movie_id": "8"}) == {"metadata": theirs}
    assert call("MovieService/GetMovieDetails", {"movie_id": "8"}) == {"movie_details": {"Metadata": theirs}}
    rated = {**RATED, "record_id": "8"}
    assert refusal(call, "RatingService/GetAggregatedRating", rated) == NOT_RATED
    assert call("RatingService/PutRating", {**rated, "user_id": "ann", "record_value": 5}) == {}
    assert call("RatingService/PutRating", {**rated, "user_id": "ben", "record_value": 2}) == {}
    assert call("RatingService/GetAggregatedRating", rated) == {"rating_value": 3.5}
    assert call("MovieService/GetMovieDetails", {"movie_id": "8"}) == {
        "movie_details": {"rating": 3.5, "Metadata": theirs}
    }

    for name in ("MovieService", f"{v1}MovieService"):
        assert refusal(call, f"{name}/GetMovieDetails", {"movie_id": "9"})[0] == "NOT_FOUND"
        assert refusal(call, f"{name}/GetMovieDetails", {"movie_id": ""})[0] == "INVALID_ARGUMENT"


@contextmanager
def routed(
    client: Callable[[str, str], AbstractContextManager[Call]], at: Mapping[str, str], token: str
) -> Iterator[Call]:
    """Each service at the address of its own process."""
    with ExitStack() as stack:
        calls = {service: stack.enter_context(client(address, token)) for service, address in at.items()}

        def call(name: str, message: Mapping[str, Any]) -> Answer:
            service = name.partition("/")[0].rpartition(".")[2]
            return calls[service](name, message)

        yield call


@pytest.fixture
def three_services(start_manage: StartManage) -> Mapping[str, str]:
    """The addresses of three processes; the third asks the two others."""
    metadata, ratings = (
        start_manage("serve_grpc", "--service", name, "--port", "0") for name in ("metadata", "ratings")
    )
    at = {"MetadataService": metadata.served(), "RatingService": ratings.served()}
    found = f"metadata={at['MetadataService']};ratings={at['RatingService']}"
    asks = {"MOVIE_DETAILS_SOURCE": "grpc", "DISCOVERY_STATIC": found}
    movie = start_manage("serve_grpc", "--service", "movie", "--port", "0", env=asks)
    return {**at, "MovieService": movie.served()}


def test_from_no_rating_through_an_ingested_file_to_the_new_mean(
    three_services: Mapping[str, str],
    start_manage: StartManage,
    manage: Manage,
    make_topic: MakeTopic,
    token: str,
    tmp_path: Path,
) -> None:
    topic = make_topic(partitions=2)
    start_manage("consume_ratings", "--topic", topic)
    file = tmp_path / "ratingsdata.json"
    book = {"recordId": "7", "recordType": "movie", "providerId": "test-provider", "eventType": "put"}
    rated = (("105", 5), ("106", 4), ("107", 3.5))
    file.write_text(json.dumps([{**book, "userId": user, "value": value} for user, value in rated]))
    mean = 12.5 / 3
    with routed(by_python, three_services, token) as python, routed(by_grpcurl, three_services, token) as grpcurl:
        python("MetadataService/PutMetadata", {"metadata": ALIEN})
        for call in (python, grpcurl):
            assert call("movieapp.v1.MovieService/GetMovieDetails", ASKED) == {"metadata": ALIEN}
            assert call("MovieService/GetMovieDetails", ASKED) == {"movie_details": {"Metadata": ALIEN}}
            assert refusal(call, "RatingService/GetAggregatedRating", RATED) == NOT_RATED

        done = manage("ingest_file", str(file), "--topic", topic)
        assert done.returncode == 0, done.stderr

        wait_until(lambda: rating(python) == mean, message=lambda: f"a mean of {mean}: {rating(python)}")
        for call in (python, grpcurl):
            found = call("movieapp.v1.MovieService/GetMovieDetails", ASKED)["rating"]
            assert (found["average"], found["count"]) == (mean, "3")
            assert rating(call) == mean
            assert call("RatingService/GetAggregatedRating", RATED) == {"rating_value": mean}


def rating(call: Call) -> float:
    """Of the movie, on the tutorial's wire."""
    found: float = call("MovieService/GetMovieDetails", ASKED)["movie_details"].get("rating", 0.0)
    return found

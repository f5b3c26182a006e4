"""`serve_grpc`, run as people run it: grpcurl by field names over reflection, both names, and a clean end."""

import json
import socket

import grpc
import pytest
from django.core.management import CommandError, call_command
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.fixtures.grpcurl import run_grpcurl

ALIEN = {"id": "7", "title": "Alien", "director": "Scott"}


def grpcurl(address, method, message, token=None):
    """What grpcurl shows of the answer; AssertionError with its words for an error."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    done = run_grpcurl(address, method, message, headers=headers)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_both_names_by_grpcurl_and_a_clean_end(start_manage, grpc_token):
    process = start_manage("serve_grpc", "--port", "0")
    address = process.served()

    put = {"metadata": {**ALIEN, "year": 1979}}
    assert grpcurl(address, "movieapp.v1.MetadataService/PutMetadata", put, grpc_token) == {}
    details = grpcurl(address, "movieapp.v1.MovieService/GetMovieDetails", {"movie_id": "7"})
    assert details == {"metadata": {**ALIEN, "year": 1979}}
    rating = {"user_id": "ann", "record_id": "7", "record_type": "movie"}
    assert grpcurl(address, "movieapp.v1.RatingService/PutRating", {**rating, "value": 4.5}, grpc_token) == {}
    details = grpcurl(address, "movieapp.v1.MovieService/GetMovieDetails", {"movie_id": "7"})
    assert details["rating"] == {"average": 4.5, "count": "1", "version": "1"}

    assert grpcurl(address, "MetadataService/PutMetadata", {"metadata": {**ALIEN, "description": "In space"}}) == {}
    assert grpcurl(address, "RatingService/PutRating", {**rating, "user_id": "ben", "record_value": 4}) == {}
    found = grpcurl(address, "RatingService/GetAggregatedRating", {"record_id": "7", "record_type": "movie"})
    assert found == {"rating_value": 4.25}
    details = grpcurl(address, "MovieService/GetMovieDetails", {"movie_id": "7"})
    assert details == {"movie_details": {"rating": 4.25, "Metadata": {**ALIEN, "description": "In space"}}}

    with grpc.insecure_channel(address) as channel:
        # A client that watches the server's health would keep it from ending for as long as it stays.
        watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        process.terminate()
        assert [answer.status for answer in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
        assert process.wait(timeout=8) == 0
    assert "Traceback" not in process.output()


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Nothing can listen on 127.0.0.1:{port}: another process has the port"):
            call_command("serve_grpc", "--service", "movie", "--port", str(port))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "65536"], "not a port"),
        (["--port", "x"], "not a port"),
        (["--host", "a/b"], "not an address"),
        (["--service", "nothing"], "invalid choice"),
    ],
)
def test_wrong_options(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("serve_grpc", *arguments)

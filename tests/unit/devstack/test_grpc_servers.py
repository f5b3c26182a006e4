"""Where the stack's gRPC services are, told to whoever looks for them."""

from pathlib import Path

from movieapp.devstack.grpc_servers import GrpcServer, example_call, static_addresses
from movieapp.devstack.layout import StateFolder


def server(tmp_path: Path, service: str, port: int) -> GrpcServer:
    return GrpcServer(service=service, port=port, state=StateFolder(root=tmp_path), environment={"NAME": "value"})


def test_each_is_one_process_that_asks_the_others_over_grpc(tmp_path: Path) -> None:
    command = server(tmp_path, "movie", 7).prepare()
    assert command.name == "grpc-movie"
    assert command.argv[-7:] == ["serve_grpc", "--service", "movie", "--host", "127.0.0.1", "--port", "7"]
    assert {"NAME": "value", "MOVIE_DETAILS_SOURCE": "grpc"}.items() <= (command.env or {}).items()


def test_discovery_is_told_where_they_are() -> None:
    assert static_addresses({"ratings": 1, "movie": 2}) == "ratings=127.0.0.1:1;movie=127.0.0.1:2"


def test_the_example_asks_whoever_knows_the_details(tmp_path: Path) -> None:
    servers = [server(tmp_path, "ratings", 7), server(tmp_path, "movie", 8)]
    assert "127.0.0.1:8 movieapp.v1.MovieService/GetMovieDetails" in example_call(servers, movie_id="1")
    assert not example_call(servers[:1], movie_id="1")

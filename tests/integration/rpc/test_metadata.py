"""MetadataService of movieapp.v1, called as clients call it."""

import pytest

from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.integration.rpc.calls import WITHIN, refusal

ALIEN = pb.Metadata(
    id="7", title="Alien", description="In space", director="Scott", year=1979, genres=["Horror", "Science fiction"]
)


@pytest.fixture
def stub(grpc_channel):
    return MetadataServiceStub(grpc_channel)


def put(stub, movie):
    stub.PutMetadata(pb.PutMetadataRequest(metadata=movie), timeout=WITHIN)


def test_what_is_put_is_got(stub):
    put(stub, ALIEN)
    assert stub.GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN).metadata == ALIEN


def test_a_put_replaces_the_movie_whole(stub):
    put(stub, ALIEN)
    put(stub, pb.Metadata(id="7", title="Alien 2"))
    found = stub.GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN).metadata
    assert found == pb.Metadata(id="7", title="Alien 2")
    assert not found.HasField("year")


def test_no_movie(stub):
    code, words = refusal(stub.GetMetadata, pb.GetMetadataRequest(movie_id="é"))
    assert code == "NOT_FOUND"
    assert words == 'there is no movie with the id "é"'


def test_what_cannot_be_an_id(stub):
    for movie_id in ("", "x" * 129, "a\x00b", "..", " "):
        code, words = refusal(stub.GetMetadata, pb.GetMetadataRequest(movie_id=movie_id))
        assert code == "INVALID_ARGUMENT"
        assert words.startswith("movie_id: ")


def test_a_bad_movie_is_refused_and_its_field_named(stub):
    for movie, field in (
        (None, "metadata"),
        (pb.Metadata(title="A"), "id"),
        (pb.Metadata(id="7"), "title"),
        (pb.Metadata(id="7", title="x" * 501), "title"),
        (pb.Metadata(id="7", title="A", year=1), "year"),
        (pb.Metadata(id="7", title="A", genres=[""]), "genres"),
        (pb.Metadata(id="7", title="A", director="\x00"), "director"),
    ):
        code, words = refusal(stub.PutMetadata, pb.PutMetadataRequest(metadata=movie))
        assert code == "INVALID_ARGUMENT"
        assert words.startswith(f"{field}: ")


def test_many_in_the_order_of_the_request(stub):
    for movie_id in ("1", "2", "3"):
        put(stub, pb.Metadata(id=movie_id, title=f"Movie {movie_id}"))
    answer = stub.BatchGetMetadata(pb.BatchGetMetadataRequest(movie_ids=["3", "9", "1", "3", "8"]), timeout=WITHIN)
    assert [movie.id for movie in answer.metadata] == ["3", "1"]
    assert answer.missing_movie_ids == ["9", "8"]
    assert stub.BatchGetMetadata(pb.BatchGetMetadataRequest(), timeout=WITHIN) == pb.BatchGetMetadataResponse()


def test_many_with_a_bad_one_or_too_many(stub):
    code, words = refusal(stub.BatchGetMetadata, pb.BatchGetMetadataRequest(movie_ids=["1", ""]))
    assert code == "INVALID_ARGUMENT"
    assert words == "movie_ids[1]: it is empty"
    many = pb.BatchGetMetadataRequest(movie_ids=[str(number) for number in range(1001)])
    assert refusal(stub.BatchGetMetadata, many) == (
        "INVALID_ARGUMENT",
        "movie_ids: it has 1001 entries: at most 1000",
    )

"""How much a server takes at a time, and that what is too much is refused at once and holds up nobody else."""

import threading
from contextlib import ExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from metadata import servicers
from metadata.drafts import movie_draft
from metadata.services import movie_put
from movieapp.catalogue.serving import core_options, process
from movieapp.rpc import method
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1 import rating_pb2
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.integration.rpc.calls import WITHIN, refusal
from tests.integration.rpc.streams import impatient, resources
from tests.waiting import wait_until

__all__ = ["impatient", "resources"]

ASKED = pb.GetMetadataRequest(movie_id="7")
MIB = 1024 * 1024
# A connection of its own.
APART = [("grpc.use_local_subchannel_pool", 1)]


class OpenStream:
    """A reflection call that stays open until it is closed."""

    def __init__(self, channel):
        self._over = threading.Event()
        self.call = ServerReflectionStub(channel).ServerReflectionInfo(self._messages(), timeout=WITHIN)

    def _messages(self):
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        self._over.wait(WITHIN)

    def code(self):
        """OK once it is answered, else why not."""
        return code_of(self.call)

    def close(self):
        self._over.set()
        assert list(self.call) == []


def watching(channel):
    """A call that watches a record."""
    request = rating_pb2.WatchAggregateRequest(records=[rating_pb2.Record(type="movie", id="7")])
    return RatingServiceStub(channel).WatchAggregate(request, timeout=WITHIN)


def code_of(call):
    """OK once it is answered, else why not."""
    try:
        next(call)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


@pytest.fixture
def stub(grpc_channel):
    return MetadataServiceStub(grpc_channel)


def test_a_request_that_is_too_large(stub):
    request = pb.PutMetadataRequest(metadata=pb.Metadata(id="7", title="x", description="x" * MIB))
    assert refusal(stub.PutMetadata, request)[0] == "RESOURCE_EXHAUSTED"


def test_a_request_that_is_too_large_only_once_it_is_unpacked(stub):
    request = pb.PutMetadataRequest(metadata=pb.Metadata(id="7", title="x", description="x" * 20 * MIB))
    with pytest.raises(grpc.RpcError) as caught:
        stub.PutMetadata(request, timeout=WITHIN, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_that_is_too_large(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetMetadata(ASKED, timeout=WITHIN, metadata=[("x-large", "x" * 100_000)])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_answer_that_is_too_large(stub, monkeypatch):
    movie_put(movie_draft(movie_id="7", title="Alien", description="x" * 200))
    monkeypatch.setattr(method, "MOST_OUT", 100)
    code, words = refusal(stub.BatchGetMetadata, pb.BatchGetMetadataRequest(movie_ids=["7"]))
    assert code == "RESOURCE_EXHAUSTED"
    assert "ask for fewer at a time" in words


def test_a_batch_of_more_than_a_thousand(stub, grpc_channel):
    request = pb.BatchGetMetadataRequest(movie_ids=[str(number) for number in range(1001)])
    assert refusal(stub.BatchGetMetadata, request)[0] == "INVALID_ARGUMENT"
    record = rating_pb2.Record(type="movie", id="7")
    request = rating_pb2.BatchGetAggregatedRatingsRequest(records=[record] * 1001)
    assert refusal(RatingServiceStub(grpc_channel).BatchGetAggregatedRatings, request)[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("call", "field", "entry"),
    [
        ("movieapp.v1.RatingService/WatchAggregate", "records", b"\x0a\x00"),
        ("movieapp.v1.RatingService/PutRatings", "events", b"\x0a\x00"),
        ("movieapp.v1.MovieService/BatchGetMovieDetails", "movie_ids", b"\x0a\x00"),
        ("movieapp.v1.MetadataService/PutMetadata", "metadata.genres", b"\x0a\x02\x32\x00"),
    ],
)
def test_far_more_entries_than_any_method_takes(grpc_channel, call, field, entry):
    """They are some thirty times as large in memory, where none of them may wait for its turn."""
    for count in (10_001, 200_000):
        asked = grpc_channel.stream_stream(f"/{call}", request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError) as caught:
            list(asked(iter([entry * count]), timeout=WITHIN))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == f"{field}: it has {count} entries, more than any method takes"


def test_more_connections_than_a_server_takes(grpc_server):
    address = grpc_server("metadata", GRPC_MAX_CONNECTIONS=3)
    with ExitStack() as opened:
        channels = [opened.enter_context(grpc.insecure_channel(address, options=APART)) for _ in range(5)]
        first, *others = [MetadataServiceStub(channel) for channel in channels]
        assert refusal(first.GetMetadata, ASKED)[0] == "NOT_FOUND"
        codes = [refusal(other.GetMetadata, ASKED)[0] for other in others]
        # Perhaps one, if the server asks itself how it is only now.
        assert codes.count("UNAVAILABLE") in (2, 3)
        assert codes[0] == "NOT_FOUND"
        assert refusal(first.GetMetadata, ASKED)[0] == "NOT_FOUND"


def test_a_connection_without_a_call_is_closed_and_one_that_watches_is_not(grpc_server, monkeypatch):
    quick = [(name, 500 if name == "grpc.max_connection_idle_ms" else value) for name, value in core_options._SETTINGS]
    monkeypatch.setattr(core_options, "_SETTINGS", quick)
    with ExitStack() as opened:
        address = grpc_server("metadata")
        idle, watching = (opened.enter_context(grpc.insecure_channel(address, options=APART)) for _ in range(2))
        watch = HealthStub(watching).Watch(health_pb2.HealthCheckRequest(), timeout=WITHIN)
        next(watch)
        assert refusal(MetadataServiceStub(idle).GetMetadata, ASKED)[0] == "NOT_FOUND"
        seen = []
        idle.subscribe(seen.append)
        wait_until(lambda: grpc.ChannelConnectivity.IDLE in seen)
        assert not watch.done()
        # Its client connects again by itself.
        assert refusal(MetadataServiceStub(idle).GetMetadata, ASKED)[0] == "NOT_FOUND"
        watch.cancel()


def test_more_calls_than_can_wait_are_refused_at_once(grpc_server, monkeypatch):
    released = threading.Event()

    def look_up(*, movie_id):
        released.wait(WITHIN)
        return movie_draft(movie_id=movie_id, title="Alien")

    monkeypatch.setattr(servicers, "movie_get", look_up)
    with grpc.insecure_channel(grpc_server("metadata", GRPC_THREADS=1, GRPC_MAX_STREAMS=200)) as channel:
        stub = MetadataServiceStub(channel)
        calls = [stub.GetMetadata.future(ASKED, timeout=WITHIN) for _ in range(10)]
        wait_until(lambda: sum(call.done() for call in calls) >= 5)
        # Neither streams nor who asks for its health are refused for that.
        stream = OpenStream(channel)
        assert stream.code() == "OK"
        stream.close()
        answer = HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=WITHIN)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        released.set()
        codes = [call.exception(WITHIN).code().name if call.exception(WITHIN) else "OK" for call in calls]
        assert refusal(stub.PutMetadata, pb.PutMetadataRequest())[0] == "UNAUTHENTICATED"
    # One has the thread, and four times as many wait, however many streams there may be.
    assert sorted(codes) == ["OK"] * 5 + ["RESOURCE_EXHAUSTED"] * 5


def test_streams_are_as_many_as_is_said_and_hold_up_no_other_call(grpc_server):
    address = grpc_server("metadata", "ratings", GRPC_THREADS=1, GRPC_MAX_STREAMS=2)
    with grpc.insecure_channel(address) as channel:
        watches = [watching(channel) for _ in range(2)]
        assert [code_of(watch) for watch in watches] == ["OK", "OK"]
        assert [code_of(watching(channel)) for _ in range(3)] == ["RESOURCE_EXHAUSTED"] * 3
        assert refusal(MetadataServiceStub(channel).GetMetadata, ASKED)[0] == "NOT_FOUND"
        watches[0].cancel()
        wait_until(lambda: code_of(watching(channel)) == "OK")


def test_reflection_has_places_of_its_own(grpc_server):
    with grpc.insecure_channel(grpc_server("ratings", GRPC_MAX_STREAMS=1)) as channel:
        streams = [OpenStream(channel) for _ in range(process._REFLECTING)]
        assert {stream.code() for stream in streams} == {"OK"}
        assert [OpenStream(channel).code() for _ in range(3)] == ["RESOURCE_EXHAUSTED"] * 3
        assert code_of(watching(channel)) == "OK"
        streams[0].close()
        wait_until(lambda: OpenStream(channel).code() == "OK")


def test_reflection_whose_answers_nobody_takes_is_not_kept(impatient, resources, grpc_server):
    def messages():
        while True:
            yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="movieapp.v1.RatingService")

    with grpc.insecure_channel(grpc_server("ratings")) as channel:
        call = ServerReflectionStub(channel).ServerReflectionInfo(messages(), timeout=60)
        wait_until(lambda: len(resources[0].streams) == 1)
        resources.assert_nothing_stays()
        call.cancel()

"""A server that stops ends its streams in words, at once, and after what it has in hand."""

import threading
import time
from contextlib import contextmanager

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.process import server_running
from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from ratings import servicers
from ratings.selectors import aggregate_get
from ratings.streaming import RatingStream
from tests.fixtures.grpc_server import bearing
from tests.integration.rpc.calls import WITHIN
from tests.integration.rpc.streams import Putting, event, resources
from tests.waiting import wait_until

__all__ = ["resources"]

STOPS = ("UNAVAILABLE", "the server stops: open the stream again, at another one")
GRACE = 10.0


@pytest.fixture
def serving(resources, transactional_db):
    """A server inside the block, which takes ten seconds to end while a stream holds it."""

    @contextmanager
    def serving():
        options = ServeOptions(
            services=("ratings",), host="127.0.0.1", port=0, threads=2, streams=4, drain=0.0, grace=GRACE
        )
        with server_running(options, check=lambda: True) as (port,):
            yield f"127.0.0.1:{port}"

    return serving


def refusal(call):
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    return caught.value.code().name, caught.value.details()


def test_both_kinds_are_told_and_nothing_stays(serving, resources, grpc_token):
    with serving() as address:
        channel = bearing(grpc.insecure_channel(address), grpc_token)
        stub = RatingServiceStub(channel)
        watch = stub.WatchAggregate(pb.WatchAggregateRequest(records=[pb.Record(type="movie", id="7")]), timeout=30)
        next(watch)
        put = Putting(stub, timeout=30)
        put.send(event("7", 5))
        assert put.answer().received == 1
        next(watch)
        begun = time.monotonic()
    assert time.monotonic() - begun < GRACE / 2
    assert refusal(watch) == STOPS
    assert put.refusal() == STOPS
    put.end()
    resources.assert_nothing_stays()


def test_reflection_is_ended_too(serving, resources):
    over = threading.Event()

    def messages():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        over.wait(WITHIN)

    with serving() as address:
        call = ServerReflectionStub(grpc.insecure_channel(address)).ServerReflectionInfo(messages(), timeout=30)
        next(call)
        begun = time.monotonic()
    assert time.monotonic() - begun < GRACE / 2
    assert refusal(call)[0] in {"CANCELLED", "UNAVAILABLE"}
    over.set()
    resources.assert_nothing_stays()


def test_a_batch_in_hand_is_written_and_acknowledged(serving, grpc_token, monkeypatch):
    begun = []

    class Slow(RatingStream):
        def write(self, events):
            begun.append(len(events))
            time.sleep(0.3)
            return super().write(events)

    monkeypatch.setattr(servicers, "RatingStream", Slow)
    with serving() as address:
        put = Putting(RatingServiceStub(bearing(grpc.insecure_channel(address), grpc_token)), timeout=30)
        put.send(event("7", 5), event("7", 6, user="bob"))
        wait_until(lambda: begun, WITHIN)
    assert put.answer().received == 2
    assert put.refusal() == STOPS
    put.end()
    assert aggregate_get(record_type="movie", record_id="7").total == 110


def test_one_that_begins_while_it_stops(serving, resources, grpc_token):
    with serving() as address:
        resources[0].streams.stop()
        put = Putting(RatingServiceStub(bearing(grpc.insecure_channel(address), grpc_token)))
        assert put.refusal() == STOPS
        put.end()

"""Callers that mean harm, or are broken: nothing that they send ends the server, is its error, or holds up others."""

import os
import random
import socket
import threading
import time
from collections import deque
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from metadata import servicers
from metadata.drafts import movie_draft
from movieapp.catalogue.serving import process
from movieapp.rpc.departure import Departures
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.integration.rpc.calls import WITHIN, raw
from tests.integration.rpc.mutated import GOOD, mutated
from tests.waiting import wait_until

CHECK = "/grpc.health.v1.Health/Check"
# A connection of its own.
APART = [("grpc.use_local_subchannel_pool", 1)]
GET = "/movieapp.v1.MetadataService/GetMetadata"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
IN_FLIGHT = 32
MIB = 1024 * 1024
# What a caller may be told of a bad request, or of a good one that names nothing.
HARMLESS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}


def resident():
    """Bytes of memory that this process, the server's and the client's, has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sender(channel, method):
    """Begins a call of a method with one message, bytes as they are; returns how to wait for its end."""
    is_stream = method.endswith(("/PutRatings", "/ServerReflectionInfo"))
    is_watch = method.endswith(("/WatchAggregate", "/Watch"))
    stream = channel.stream_stream(method, request_serializer=bytes, response_deserializer=bytes)
    one = raw(channel, method)

    def send(message):
        if is_stream:
            call = stream(iter([message]), timeout=3 * WITHIN)
            return lambda: deque(call, maxlen=0)
        if is_watch:
            return lambda: first_of(stream(iter([message]), timeout=3 * WITHIN))
        call = one.future(message, timeout=3 * WITHIN)
        return lambda: call.result(4 * WITHIN)

    return send


def first_of(call):
    """The first answer of a call that would go on."""
    try:
        return next(call)
    finally:
        call.cancel()


def ended(wait):
    """How a call ends, once it has: its code and words."""
    try:
        wait()
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


def answers(address):
    """Whether a good call is answered, on a connection of its own."""
    with grpc.insecure_channel(address, options=APART) as channel:
        try:
            MetadataServiceStub(channel).GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.NOT_FOUND
    return False


class Silent:
    """A call that sends its headers and no message."""

    def __init__(self, channel, method=GET):
        self._ended = threading.Event()
        call = channel.stream_stream(method, request_serializer=bytes, response_deserializer=bytes)
        self.call = call(self._messages(), timeout=4 * WITHIN)
        self.call.add_callback(self._ended.set)
        self.begun = time.monotonic()

    def _messages(self):
        self._ended.wait(4 * WITHIN)
        yield from ()

    def lasted(self):
        """Seconds until the server ended it; and how."""
        code = self.call.code().name
        return time.monotonic() - self.begun, code


@pytest.fixture
def sockets():
    """Connects to an address; closed after the test."""
    opened = []

    def connect(address):
        host, _, port = address.partition(":")
        opened.append(socket.create_connection((host, int(port)), timeout=WITHIN))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def until_closed(connection):
    """Seconds until the server has closed a connection."""
    begun = time.monotonic()
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - begun


@pytest.mark.parametrize("requests", [10_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_mutated_requests(grpc_channel, pytestconfig, requests):
    seed = pytestconfig.getoption("randomly_seed", default=0)
    chance = random.Random(seed)
    methods, messages = list(GOOD), [message.SerializeToString() for message in GOOD.values()]
    senders = [sender(grpc_channel, method) for method in methods]
    seen, before, in_flight = {}, None, deque()

    def settle():
        method, message, wait = in_flight.popleft()
        code, words = ended(wait)
        seen[code] = seen.get(code, 0) + 1
        assert code in HARMLESS, f"seed {seed}: {method} {message.hex()}: {code} {words}"

    for number in range(requests):
        chosen = chance.randrange(len(methods))
        message = mutated(messages[chosen], messages, chance)
        in_flight.append((methods[chosen], message, senders[chosen](message)))
        if len(in_flight) >= IN_FLIGHT:
            settle()
        if number == 2_000:
            before = resident()
    while in_flight:
        settle()
    assert resident() - before < 32 * MIB
    assert min(seen[code] for code in HARMLESS) > requests // 100


def test_random_bytes_instead_of_http(grpc_server, sockets):
    address, chance = grpc_server("metadata"), random.Random(7)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for said in (
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        hello,
        *(chance.randbytes(chance.randint(1, 4_000)) + b"\r\n\r\n" for _ in range(50)),
        *(preface + chance.randbytes(chance.randint(20, 4_000)) for _ in range(50)),
    ):
        sockets(address).sendall(said)
    assert answers(address)


def test_requests_larger_than_a_server_takes(grpc_channel):
    before = resident()
    call = raw(grpc_channel, "/movieapp.v1.MetadataService/PutMetadata")
    large = bytes(3 * MIB)
    for _ in range(10):
        with pytest.raises(grpc.RpcError) as caught:
            call(large, timeout=WITHIN)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert resident() - before < 64 * MIB


def test_answers_that_nobody_takes(grpc_server, monkeypatch):
    movie = movie_draft(movie_id="7", title="Alien", description="x" * 20_000)
    monkeypatch.setattr(servicers, "movies_get", lambda *, movie_ids: dict.fromkeys(movie_ids, movie))
    monkeypatch.setattr(process, "Departures", lambda: Departures(most=2 * MIB))
    request = pb.BatchGetMetadataRequest(movie_ids=[str(number) for number in range(20)])
    # A client that measures opens windows so wide that all may be on its side.
    with grpc.insecure_channel(grpc_server("metadata"), options=[("grpc.http2.bdp_probe", 0)]) as channel:
        begin = channel.unary_stream(
            "/movieapp.v1.MetadataService/BatchGetMetadata",
            request_serializer=pb.BatchGetMetadataRequest.SerializeToString,
            response_deserializer=bytes,
        )
        calls = [begin(request, timeout=4 * WITHIN) for _ in range(40)]
        # Those that are too many are refused, which needs no window.
        wait_until(lambda: any(call.done() for call in calls), timeout=WITHIN)
        refused = [call for call in calls if call.done()]
        assert {call.code().name for call in refused} == {"RESOURCE_EXHAUSTED"}
        for call in calls:
            call.cancel()
        stub = MetadataServiceStub(channel)
        wait_until(lambda: ended(lambda: stub.BatchGetMetadata(request, timeout=WITHIN))[0] == "OK", timeout=WITHIN)


def test_calls_and_connections_that_say_nothing_more(grpc_server, sockets):
    quiet = grpc_server("metadata")
    half = [sockets(quiet) for _ in range(20)]
    for number, connection in enumerate(half):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[: number + 5])
    with grpc.insecure_channel(quiet) as channel:
        lone = Silent(channel), Silent(channel, REFLECTION)
        crowded(grpc_server("metadata", GRPC_THREADS=4, GRPC_MAX_STREAMS=4))
        alone(grpc_server("metadata", GRPC_THREADS=1))
        for lasted, code in (call.lasted() for call in lone):
            assert code == "CANCELLED"
            assert lasted < 8
    assert all(until_closed(connection) < 8 for connection in half)
    assert answers(quiet)


def test_silent_questions_hold_up_nobody_who_asks_for_the_health(grpc_server):
    address = grpc_server("metadata")
    with grpc.insecure_channel(address) as channel, grpc.insecure_channel(address, options=APART) as apart:
        calls = [Silent(channel, CHECK) for _ in range(120)]
        begun = time.monotonic()
        answer = HealthStub(apart).Check(health_pb2.HealthCheckRequest(), timeout=2 * WITHIN)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert time.monotonic() - begun < 5  # by four threads it were twenty
        assert {code for _, code in (call.lasted() for call in calls)} == {"CANCELLED"}


def alone(address):
    """A silent call has the only thread of a server: a good one does not wait for as long as others may take."""
    with grpc.insecure_channel(address) as channel:
        call = Silent(channel)
        time.sleep(0.1)
        begun = time.monotonic()
        assert answers(address)
        assert time.monotonic() - begun < 3
        assert call.lasted()[1] == "CANCELLED"


def crowded(address):
    """More silent calls than a server has threads: a good call does not wait for as long as each of them may take."""
    with grpc.insecure_channel(address) as channel:
        calls = [Silent(channel) for _ in range(12)]
        begun = time.monotonic()
        assert answers(address)
        assert time.monotonic() - begun < 6
        assert {code for _, code in (call.lasted() for call in calls)} == {"CANCELLED"}

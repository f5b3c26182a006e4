"""How a server begins and ends: its port is its own, and no client and no database keeps it from ending."""

import socket
import struct
import time
from dataclasses import replace

import grpc
import pytest
from django.db import connection
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from metadata import servicers
from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving import process, registration
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.process import server_running
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.integration.rpc.calls import WITHIN
from tests.waiting import wait_until
from workers.discovery.memory import MemoryRegistry, MemoryRegistryServer


def options(port=0, *, grace=10.0):
    return ServeOptions(
        services=("metadata",), host="127.0.0.1", port=port, threads=2, streams=2, drain=0.0, grace=grace
    )


@pytest.fixture
def slow_movies(monkeypatch, transactional_db):
    """Looking a movie up takes the database four seconds."""

    def look_up(*, movie_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(4) /* slow */")

    monkeypatch.setattr(servicers, "movie_get", look_up)


def is_asked():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()", ["%/* slow */"]
        )
        return cursor.fetchone()[0]


def test_two_servers_never_share_a_port(transactional_db):
    with server_running(options(), check=lambda: True) as (port,):
        words = f"Nothing can listen on 127.0.0.1:{port}: another process has the port"
        with pytest.raises(CannotServe, match=words), server_running(options(port), check=lambda: True):
            pass
    with server_running(options(port), check=lambda: True) as ports:
        assert list(ports) == [port]


def test_a_client_that_watches_does_not_hold_it(transactional_db):
    with server_running(options(), check=lambda: True) as (port,):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=WITHIN)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        begun = time.monotonic()
    assert time.monotonic() - begun < 7  # of the grace's ten
    assert [answer.status for answer in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
    channel.close()


class Unmoved:
    """A client that watches the health many times, on one connection, and takes one message of each and no more."""

    def __init__(self, port, *, watches):
        self._socket = socket.create_connection(("127.0.0.1", port), WITHIN)
        window = struct.pack(">HI", 4, 7)  # bytes: the first message has just so many
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self._frame(4, 0, 0, window))
        for number in range(1, 2 * watches, 2):
            self._socket.sendall(self._frame(1, 4, number, self._headers()) + self._frame(0, 1, number, bytes(5)))
        received = b""
        while received.count(b"\x08\x01") < watches:
            received += self._socket.recv(65_536)

    @staticmethod
    def _frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    @staticmethod
    def _headers():
        fields = {
            b":method": b"POST",
            b":scheme": b"http",
            b":path": b"/grpc.health.v1.Health/Watch",
            b":authority": b"x",
            b"content-type": b"application/grpc",
            b"te": b"trailers",
        }
        return b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(it)]) + it for name, it in fields.items())

    def close(self):
        self._socket.close()


def test_many_that_watch_and_take_nothing_do_not_hold_it(transactional_db, monkeypatch):
    entries = MemoryRegistryServer()
    monkeypatch.setattr(registration, "make_registry", lambda: MemoryRegistry(entries))
    left = []
    monkeypatch.setattr(MemoryRegistry, "deregister", lambda self, instance: left.append(time.monotonic()))
    # A connection that never says anything again is there for the whole grace.
    with server_running(options(grace=0.5), check=lambda: True) as (port,):
        wait_until(MemoryRegistry(entries).services)
        unmoved = Unmoved(port, watches=15)
        begun = time.monotonic()
    # A second for those who watch to take the news, and no more for all of them; the registry is told meanwhile.
    assert time.monotonic() - begun < 5
    assert left[0] - begun < 0.9
    unmoved.close()


def test_a_database_that_is_slow_holds_it_for_the_grace_only(slow_movies):
    with server_running(options(grace=0.2), check=lambda: True) as (port,):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        call = MetadataServiceStub(channel).GetMetadata.future(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN)
        wait_until(is_asked)
        begun = time.monotonic()
    assert time.monotonic() - begun < 3.5
    assert call.exception(WITHIN).code() is grpc.StatusCode.UNAVAILABLE
    channel.close()


def test_a_call_in_hand_is_finished(monkeypatch, transactional_db):
    begun = []

    def look_up(*, movie_id):
        begun.append(movie_id)
        time.sleep(0.3)
        return servicers.movie_draft(movie_id=movie_id, title="Alien")

    monkeypatch.setattr(servicers, "movie_get", look_up)
    with server_running(options(), check=lambda: True) as (port,):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        call = MetadataServiceStub(channel).GetMetadata.future(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN)
        wait_until(lambda: begun)
    assert call.result(WITHIN).metadata.title == "Alien"
    channel.close()


def test_without_threads_it_says_so(transactional_db, monkeypatch):
    def start(*args, **options):
        raise RuntimeError("the machine has no 2 threads for calls")

    monkeypatch.setattr(process, "CallThreads", start)
    words = "The server cannot have its threads: the machine has no 2"
    with pytest.raises(CannotServe, match=words), server_running(options()):
        pytest.fail("it serves")


@pytest.mark.parametrize(("supervisor", "expected"), [(None, ["exit 1"]), (7, ["SIGKILL", "exit 1"])])
def test_who_started_a_lost_one_starts_it_again(monkeypatch, supervisor, expected):
    """A supervisor does so for one that was killed, and ends all for one that ended with an error."""
    done = []
    monkeypatch.setattr(process.os, "kill", lambda pid, number: done.append(number.name))
    monkeypatch.setattr(process.os, "_exit", lambda code: done.append(f"exit {code}"))
    process._end_at_once(replace(options(), supervisor=supervisor))
    assert done == expected

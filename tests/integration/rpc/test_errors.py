"""What a caller is told when something goes wrong: by the one table, and never what only the log may say."""

import threading
import time

import grpc
import pytest
from django.db import OperationalError, connection, transaction

from metadata import servicers as metadata_servicers
from metadata.drafts import movie_draft
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.integration.rpc.calls import WITHIN, refusal
from tests.waiting import wait_until

ASKED = pb.GetMetadataRequest(movie_id="7")
PUT = pb.PutMetadataRequest(metadata=pb.Metadata(id="7", title="Alien"))


@pytest.fixture
def stub(grpc_channel):
    return MetadataServiceStub(grpc_channel)


@pytest.fixture
def no_blockbusters(transactional_db):
    """An operator's own rule on a table of ours."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metadata_movie ADD CONSTRAINT no_blockbusters CHECK (title <> 'Titanic')")
        yield
        cursor.execute("ALTER TABLE metadata_movie DROP CONSTRAINT no_blockbusters")


def backends_of_the_server():
    """The process ids of the connections that the server's threads have."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def end_connections_of_the_server():
    pids = backends_of_the_server()
    assert pids
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [pids])
    wait_until(lambda: not set(pids) & set(backends_of_the_server()))


def test_an_outage_of_the_database(stub, monkeypatch):
    def fail(**_):
        raise OperationalError("connection to server at 10.0.0.5 failed")

    monkeypatch.setattr(metadata_servicers, "movie_get", fail)
    assert refusal(stub.GetMetadata, ASKED) == (
        "UNAVAILABLE",
        "the database does not answer: try again in a few seconds",
    )


def test_a_bug_is_internal_without_its_reason(stub, monkeypatch):
    def fail(**_):
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(metadata_servicers, "movie_get", fail)
    assert refusal(stub.GetMetadata, ASKED) == ("INTERNAL", "an unexpected error; the log has its reason")


def test_a_rule_of_the_operators_is_named_and_no_row(stub, no_blockbusters):
    request = pb.PutMetadataRequest(metadata=pb.Metadata(id="7", title="Titanic"))
    assert refusal(stub.PutMetadata, request) == (
        "FAILED_PRECONDITION",
        "a rule of the database refuses it (SQLSTATE 23514, constraint no_blockbusters)",
    )
    stub.PutMetadata(PUT, timeout=WITHIN)


def test_connections_that_ended_while_idle_are_noticed(stub):
    stub.PutMetadata(PUT, timeout=WITHIN)
    end_connections_of_the_server()
    stub.PutMetadata(PUT, timeout=WITHIN)
    end_connections_of_the_server()
    assert stub.GetMetadata(ASKED, timeout=WITHIN).metadata.title == "Alien"


def test_a_statement_has_a_time_out(stub):
    stub.PutMetadata(PUT, timeout=WITHIN)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE metadata_movie")
        begun = time.monotonic()
        # Its lock_timeout: without it the thread would wait for as long as the lock is held.
        assert refusal(stub.GetMetadata, ASKED) == (
            "UNAVAILABLE",
            "somebody else holds a lock that this needs: try again in a few seconds",
        )
        assert time.monotonic() - begun < 8


def test_a_call_whose_time_is_over_before_a_thread_is_free_is_not_begun(grpc_server, monkeypatch):
    seen, begun, released = [], threading.Event(), threading.Event()

    def look_up(*, movie_id):
        seen.append(movie_id)
        begun.set()
        released.wait(WITHIN)
        return movie_draft(movie_id=movie_id, title="Alien")

    monkeypatch.setattr(metadata_servicers, "movie_get", look_up)
    with grpc.insecure_channel(grpc_server("metadata", GRPC_THREADS=1)) as channel:
        stub = MetadataServiceStub(channel)
        first = stub.GetMetadata.future(ASKED, timeout=WITHIN)
        assert begun.wait(WITHIN)
        late = stub.GetMetadata.future(pb.GetMetadataRequest(movie_id="late"), timeout=0.2)
        assert late.exception(WITHIN).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        released.set()
        assert first.result(WITHIN).metadata.title == "Alien"
        assert stub.GetMetadata(pb.GetMetadataRequest(movie_id="next"), timeout=WITHIN).metadata.id == "next"
    assert seen == ["7", "next"]

"""The server's connections to its database: what their sessions are set to, and one whose other end is gone."""

import threading

import grpc
import pytest
from django.db import connection, connections

from movieapp.rpc import silence
from movieapp.rpc.connections import ServerConnections
from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from ratings.selectors import aggregate_get
from ratings.services import rating_put
from tests.fixtures.grpc_server import bearing
from tests.fixtures.silent_proxy import silent_proxy
from tests.integration.rpc.calls import WITHIN
from tests.waiting import wait_until

ONE = pb.GetAggregatedRatingRequest(record_type="movie", record_id="7")
MANY = pb.BatchGetAggregatedRatingsRequest(records=[pb.Record(type="movie", id="7")])
PUT = pb.PutRatingRequest(record_type="movie", record_id="7", user_id="ben", value=10)


@pytest.fixture
def proxy(transactional_db, monkeypatch):
    """Between the servers of the test and their database."""
    connection.ensure_connection()  # the test's own goes past it
    there = connections.settings["default"]
    with silent_proxy(there["HOST"], int(there["PORT"])) as one:
        monkeypatch.setitem(there, "HOST", "127.0.0.1")
        monkeypatch.setitem(there, "PORT", str(one.port))
        yield one


@pytest.fixture
def stub(proxy, grpc_server, grpc_token, monkeypatch):
    """Of a server with two threads, both of which have a connection, and that is soon out of patience."""
    monkeypatch.setattr(silence, "PATIENCE", 1.0)
    monkeypatch.setattr(silence, "LOOK_EVERY", 0.1)
    rating_put(record_type="movie", record_id="7", provider_id="", user_id="ann", tenths=40)
    with grpc.insecure_channel(grpc_server("ratings", GRPC_THREADS=2)) as channel:
        made = RatingServiceStub(bearing(channel, grpc_token))
        made.PutRating(PUT, timeout=WITHIN)

        def both_have_one():
            for call in [made.GetAggregatedRating.future(ONE, timeout=WITHIN) for _ in range(2)]:
                call.result()
            return proxy.accepted >= 2

        wait_until(both_have_one)
        yield made


def test_reads_go_on_when_a_database_has_gone_without_a_word(stub, proxy):
    before = proxy.accepted
    proxy.fall_silent()
    calls = [stub.GetAggregatedRating.future(ONE, timeout=WITHIN), stub.BatchGetAggregatedRatings.future(MANY, WITHIN)]
    assert calls[0].result().rating.average == calls[1].result().ratings[0].rating.average == 7
    assert proxy.accepted >= before + 2


def test_a_write_is_not_made_twice_and_the_next_one_is_made(stub, proxy):
    proxy.fall_silent()
    words = "the database does not answer: try again in a few seconds"
    outcomes = [stub.PutRating.future(PUT, timeout=WITHIN) for _ in range(2)]
    assert {(one.exception().code().name, one.exception().details()) for one in outcomes} == {("UNAVAILABLE", words)}
    for _ in range(2):
        stub.PutRating(PUT, timeout=WITHIN)


def test_threads_without_calls_keep_no_connections(proxy, grpc_server, monkeypatch):
    monkeypatch.setattr(silence, "IDLE", 0.3)
    monkeypatch.setattr(silence, "LOOK_EVERY", 0.1)
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 1)
    rating_put(record_type="movie", record_id="7", provider_id="", user_id="ann", tenths=40)
    with grpc.insecure_channel(grpc_server("ratings", GRPC_THREADS=2)) as channel:
        read = RatingServiceStub(channel).GetAggregatedRating
        for _ in range(2):
            assert read(ONE, timeout=WITHIN).rating.average == 4
            assert backends()
            wait_until(lambda: not backends(), WITHIN)


def backends():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchall()


@pytest.mark.parametrize(
    ("is_pooled", "expected"), [(False, ("5s", "2s", 1)), (True, ("0", "0", 0))], ids=["alone", "pooled"]
)
def test_a_session_is_changed_only_where_it_is_ours_alone(transactional_db, settings, is_pooled, expected):
    """Behind a pooler the next statement goes to another session, and this one to somebody else."""
    settings.DATABASE_POOLED = is_pooled
    found = []

    def ask():
        ours.adopt_thread()
        aggregate_get(record_type="movie", record_id="7")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
                " (SELECT count(*) FROM pg_prepared_statements)"
            )
            found.append(cursor.fetchone())

    with ServerConnections() as ours:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert found == [expected]

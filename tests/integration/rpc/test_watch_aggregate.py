"""WatchAggregate, as clients call it: each change within a second of its commit, whoever made it, and nothing stays."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import grpc
import pytest
from django.core.management import call_command
from django.db import connection

from movieapp.catalogue.serving import core_options
from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from ratings import watching
from ratings.postgres_watching import PostgresAggregates
from ratings.services import rater_erase, rating_put, ratings_write_now
from tests.integration.rest_client import ApiClient
from tests.integration.rpc.calls import WITHIN
from tests.integration.rpc.streams import impatient, resources
from tests.rating_writers import T, event, write
from tests.waiting import wait_until

__all__ = ["impatient", "resources"]


@pytest.fixture
def stub(resources, grpc_channel):
    return RatingServiceStub(grpc_channel)


def asked(*ids):
    return pb.WatchAggregateRequest(records=[pb.Record(type="movie", id=one) for one in ids])


@contextmanager
def watching_of(stub, *ids, timeout=30):
    """A call that watches these movies, over after the block."""
    call = stub.WatchAggregate(asked(*ids), timeout=timeout)
    try:
        yield call
    finally:
        call.cancel()


def told(answer):
    """Average, count and version by movie; None without a rating."""
    return {
        one.record.id: (one.rating.average, one.rating.count, one.rating.version) if one.HasField("rating") else None
        for one in answer.ratings
    }


def refusal(call):
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    return caught.value.code().name, caught.value.details()


def test_first_how_it_stands_in_the_order_of_the_request(stub, resources):
    rating_put(record_type="movie", record_id="7", provider_id="", user_id="ann", tenths=45)
    with watching_of(stub, "9", "7", "8", "7") as call:
        answer = next(call)
        assert [one.record.id for one in answer.ratings] == ["9", "7", "8"]
        assert told(answer) == {"9": None, "7": (4.5, 1, 1), "8": None}
    resources.assert_nothing_stays()


class Looks:
    """How many aggregates each look of the server has found, in their order; a look under way has found none yet."""

    def __init__(self, monkeypatch):
        self.found = []
        changed = PostgresAggregates.changed

        def counted(reader, versions):
            self.found.append(0)
            aggregates = changed(reader, versions)
            self.found[-1] += len(aggregates)
            return aggregates

        monkeypatch.setattr(PostgresAggregates, "changed", counted)


def test_each_change_within_a_second_whoever_makes_it(stub, resources, grpc_token, monkeypatch):
    """By the first look that begins after the commit, of four a second: however busy the machine is."""
    assert watching.LOOK_EVERY <= 0.25
    looks = Looks(monkeypatch)
    writer = ApiClient(grpc_token)

    def by_rest():
        assert writer.put("records/movie/7/ratings/ann/", {"ratingValue": 5}).status_code == 200

    def by_grpc():
        stub.PutRating(pb.PutRatingRequest(record_type="movie", record_id="7", user_id="bob", value=10), timeout=WITHIN)

    def by_ingestion():
        write([event(30, record="7", user="cat"), event(40, record="8")], [T, T])

    def by_the_repair():
        with pytest.raises(SystemExit):
            call_command("check_aggregates", "--repair")

    def behind_our_back():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE ratings_recordaggregate SET count = 9, total = 9, version = version + 1 WHERE count = 3"
            )

    def by_an_erasure():
        rater_erase(provider_id="", user_id="ann")

    def by_a_delete():
        assert writer.delete("records/movie/7/ratings/bob/").status_code == 204
        ratings_write_now([event(None, record="7", user="cat")])

    delays = []
    with watching_of(stub, "7", "8") as call:
        assert told(next(call)) == {"7": None, "8": None}
        for make, expected in (
            (by_rest, {"7": (5, 1, 1)}),
            (by_grpc, {"7": (7.5, 2, 2)}),
            (by_ingestion, {"7": (6, 3, 3), "8": (4, 1, 1)}),
            (behind_our_back, {"7": (0.1, 9, 4)}),
            (by_the_repair, {"7": (6, 3, 5)}),
            (by_an_erasure, {"7": (6.5, 2, 6), "8": None}),
            (by_a_delete, {"7": None}),
        ):
            make()
            committed, looked = time.monotonic(), len(looks.found)
            seen = {}
            while seen != expected:
                seen.update(told(next(call)))
                assert time.monotonic() - committed < 5, (make.__name__, seen)
            delays.append(time.monotonic() - committed)
            assert not any(looks.found[looked + 1 :]), (make.__name__, looked, looks.found)
    # A machine that is busy with something else may hold up one of them.
    assert sorted(delays)[len(delays) // 2] < 1
    resources.assert_nothing_stays()


def test_one_who_reads_slowly_gets_the_last_state_and_holds_no_other(stub):
    with watching_of(stub, "7") as slow, watching_of(stub, "7") as quick:
        assert told(next(slow)) == told(next(quick)) == {"7": None}
        for tenths in range(1, 6):
            rating_put(record_type="movie", record_id="7", provider_id="", user_id="ann", tenths=tenths)
            assert told(next(quick)) == {"7": (tenths / 10, 1, tenths)}
        versions = []
        while not versions or versions[-1] < 5:
            versions.append(told(next(slow))["7"][2])
        assert versions == sorted(set(versions))


def test_what_cannot_be_watched(stub, resources):
    for request, words in (
        (asked(), "records: it is empty: name the records to watch"),
        (asked("7", ""), "records[1].id: it is empty: it must be a non-empty text of at most 128 characters"),
        (asked(*["7"] * 1_001), "records: it has 1001 entries: at most 1000"),
    ):
        assert refusal(stub.WatchAggregate(request, timeout=WITHIN)) == ("INVALID_ARGUMENT", words)
    resources[0].watches._most = 3
    with watching_of(stub, "1", "2", "3") as call:
        next(call)
        assert refusal(stub.WatchAggregate(asked("4"), timeout=WITHIN))[0] == "RESOURCE_EXHAUSTED"
    resources.assert_nothing_stays()


def test_a_client_that_goes_or_whose_deadline_is_over_leaves_nothing_behind(stub, resources):
    calls = [stub.WatchAggregate(asked("7", str(number)), timeout=WITHIN) for number in range(10)]
    for call in calls:
        next(call)
    assert len(resources[0].watches) == 10
    for call in calls:
        call.cancel()
    resources.assert_nothing_stays()
    with watching_of(stub, "7", timeout=0.5) as call:
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    resources.assert_nothing_stays()


# Watches a movie, says so, and waits.
WATCHER = """
import sys, grpc
from protos.movieapp.v1 import rating_pb2 as pb, rating_pb2_grpc
asked = pb.WatchAggregateRequest(records=[pb.Record(type="movie", id="7")])
for answer in rating_pb2_grpc.RatingServiceStub(grpc.insecure_channel(sys.argv[1])).WatchAggregate(asked):
    print("watching", flush=True)
"""


def test_a_client_that_hangs_is_not_kept(resources, grpc_server, monkeypatch):
    waits = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")
    quick = [(name, 500 if name in waits else value) for name, value in core_options._SETTINGS]
    monkeypatch.setattr(core_options, "_SETTINGS", quick)
    address = grpc_server("ratings")
    with subprocess.Popen([sys.executable, "-c", WATCHER, address], stdout=subprocess.PIPE) as client:
        try:
            assert client.stdout.readline() == b"watching\n"
            assert len(resources[0].streams) == 1
            client.send_signal(signal.SIGSTOP)  # its kernel goes on acknowledging what comes
            resources.assert_nothing_stays()
        finally:
            client.kill()


def test_a_client_that_reads_nothing_is_not_kept(impatient, stub, resources, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_EVERY", 0.06)
    ids = [f"{number:04}{'🎬' * 124}" for number in range(1_000)]  # half a megabyte in each answer
    call = stub.WatchAggregate(asked(*ids), timeout=60)
    wait_until(lambda: len(resources[0].streams) == 1, WITHIN)
    deadline = time.monotonic() + 30
    tenths = 0
    while len(resources[0].streams):
        tenths += 1
        ratings_write_now([event(tenths % 101, record=one) for one in ids])
        assert time.monotonic() < deadline
    resources.assert_nothing_stays()
    call.cancel()


def test_a_watch_goes_on_after_its_connection_was_lost(stub, monkeypatch):
    with watching_of(stub, "7") as call:
        next(call)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        rating_put(record_type="movie", record_id="7", provider_id="", user_id="ann", tenths=45)
        assert told(next(call)) == {"7": (4.5, 1, 1)}
        monkeypatch.setattr(watching, "_BLIND_AFTER", 0.3)
        monkeypatch.setattr("ratings.postgres_watching._CHANGED", "SELECT 1 / 0")
        code, words = refusal(call)
        assert code == "UNAVAILABLE"
        assert words.startswith("the database has not answered for 0.3 s")

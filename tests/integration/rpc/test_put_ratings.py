"""PutRatings, as clients call it: what is acknowledged is committed, what is not valid is named, nobody is kept."""

import time

import grpc
import pytest
from django.db import connection
from knox.models import AuthToken

from movieapp.rpc import arrival, tokens
from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from ratings import servicers
from ratings.services import rater_erase
from tests.fixtures.grpc_server import bearing
from tests.integration.rpc.calls import WITHIN
from tests.integration.rpc.streams import Putting, event, impatient, putting, resources
from tests.rating_tables import assert_consistent, own_connection, standing
from tests.refusing_rules import ALLOW, BAD, WORSE, refuse
from tests.waiting import wait_until

__all__ = ["impatient", "resources"]


@pytest.fixture
def stub(resources, grpc_channel):
    return RatingServiceStub(grpc_channel)


@pytest.fixture
def owner(transactional_db):
    """A connection of an operator who may have rules of their own, which are gone afterwards."""
    with own_connection() as owner:
        yield owner
        owner.execute(ALLOW)


def values():
    return {(key[1], key[3]): found.tenths for key, found in standing("movie").items()}


def backends():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_one_event_is_answered_at_once_and_committed(stub, resources):
    with putting(stub) as stream:
        for number, value in enumerate((4.5, 10, 0, None), start=1):
            stream.send(event("7", value))
            assert stream.answer() == pb.PutRatingsResponse(received=number)
            assert values() == {("7", "ann"): None if value is None else int(value * 10)}
        stream.end()
        assert stream.refusal() == ("OK", "")
    assert_consistent()
    resources.assert_nothing_stays()


def test_a_flood_is_acknowledged_in_batches_and_in_order(stub, resources):
    with putting(stub, timeout=30) as stream:
        for number in range(3_000):
            stream.send(event(str(number % 50), number % 101 / 10, user=f"user {number % 20}"))
        stream.end()
        answers = list(stream.call)
    received = [answer.received for answer in answers]
    assert received == sorted(set(received))
    assert received[-1] == 3_000
    assert len(answers) < 1_000
    last = {(str(number % 50), f"user {number % 20}"): number % 101 for number in range(3_000)}
    assert values() == last
    assert_consistent()
    resources.assert_nothing_stays()


def test_what_is_not_valid_is_named_and_stops_nobody(stub):
    with putting(stub) as stream:
        bare = pb.RatingEvent(record=pb.Record(type="movie", id="7"), user_id="ann")
        stream.send(
            event("7", 4.5),
            event("", 1),
            event("8", 4.55),
            event("9", 1, user="x" * 129),
            bare,
            pb.RatingEvent(put=1, user_id="ann"),
            event("8", 3, provider="a\x00b"),
            event("8", 10),
        )
        answer = stream.answer()
        assert answer.received == 8
        assert [(one.index, one.field) for one in answer.rejected] == [
            (1, "record.id"),
            (2, "put"),
            (3, "user_id"),
            (4, "change"),
            (5, "record.type"),
            (6, "provider_id"),
        ]
        assert answer.rejected[1].reason == "4.55 is not a number from 0 to 10 with at most one decimal"
        stream.send(event("", 1))
        assert stream.answer().rejected[0].index == 8
    assert values() == {("7", "ann"): 45, ("8", "ann"): 100}


def test_what_the_database_refuses_is_rejected_by_itself(stub, owner):
    refuse(owner, bad="ERRCODE = '23514', CONSTRAINT = 'no_unlucky_ratings'", worse="ERRCODE = 'P0001'")
    with putting(stub) as stream:
        stream.send(*(event(str(n), {7: BAD, 30: WORSE}.get(n, 50) / 10) for n in range(40)))
        answer = stream.answer()
        assert answer.received == 40
        assert [(one.index, one.field, one.reason) for one in answer.rejected] == [
            (7, "", "a rule of the database refuses it (SQLSTATE 23514, constraint no_unlucky_ratings)"),
            (30, "", "a rule of the database refuses it (SQLSTATE P0001)"),
        ]
        stream.send(event("7", 9))
        assert stream.answer() == pb.PutRatingsResponse(received=41)
    assert values() == {(str(n), "ann"): 90 if n == 7 else 50 for n in range(40) if n != 30}
    assert_consistent()


def test_an_outage_ends_the_stream_and_what_was_acknowledged_stands(stub, resources, owner):
    refuse(owner, bad="ERRCODE = '57P03'")
    with putting(stub) as stream:
        stream.send(event("7", 5))
        assert stream.answer().received == 1
        stream.send(event("8", BAD / 10))
        assert stream.refusal() == ("UNAVAILABLE", "the database does not answer: try again in a few seconds")
    assert values() == {("7", "ann"): 50}
    resources.assert_nothing_stays()


def test_a_stream_outlives_its_connection_and_an_erasure(stub):
    with putting(stub) as stream:
        stream.send(event("7", 5), event("7", 5, user="bob"))
        assert stream.answer().received == 2
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [list(backends())])
        wait_until(lambda: not backends())
        stream.send(event("8", 6))
        assert stream.answer().received == 3
        rater_erase(provider_id="", user_id="ann")
        stream.send(event("9", 7))
        assert stream.answer().received == 4
    assert values() == {("7", "bob"): 50, ("9", "ann"): 70}
    assert_consistent()


def test_a_message_that_is_none_ends_the_stream_after_what_was_before_it(stub):
    with putting(stub) as stream:
        stream.send(event("7", 5))
        stream.send(*[event("8", 5)] * 1_001)
        stream.send(event("9", 5))
        assert stream.answer().received == 1
        assert stream.refusal() == ("INVALID_ARGUMENT", "events: it has 1001 entries: one message has 1 to 1000")
    with putting(stub) as stream:
        stream.send()
        assert stream.refusal() == ("INVALID_ARGUMENT", "events: it has 0 entries: one message has 1 to 1000")
    assert values() == {("7", "ann"): 50}


def test_a_client_that_goes_leaves_nothing_behind(stub, resources):
    before = backends()
    streams = [Putting(stub) for _ in range(5)]
    for number, stream in enumerate(streams):
        stream.send(event(str(number), 5))
        assert stream.answer().received == 1
    assert len(resources[0].streams) == 5
    for stream in streams:
        stream.call.cancel()
        stream.end()
    resources.assert_nothing_stays()
    wait_until(lambda: len(backends() - before) <= 1, WITHIN)  # the one that looks up tokens


def test_a_client_that_says_nothing_is_not_kept(stub, resources, monkeypatch):
    monkeypatch.setattr(servicers, "_IDLE", 1.0)
    with putting(stub) as stream:
        stream.send(event("7", 5))
        assert stream.answer().received == 1
        code, words = stream.refusal()
        assert code == "DEADLINE_EXCEEDED"
        assert words.startswith("nothing has come for 1 s")
    resources.assert_nothing_stays()


def test_streams_that_begin_without_an_event_wait_for_one(stub, monkeypatch):
    monkeypatch.setattr(arrival, "FIRST_WITHIN", 0.2)
    streams = [Putting(stub) for _ in range(120)]  # more than half of the places
    time.sleep(1.5)
    assert not any(stream.call.done() for stream in streams)
    streams[0].send(event("7", 5))
    assert streams[0].answer().received == 1
    for stream in streams:
        stream.end()
        assert stream.refusal() == ("OK", "")


def test_who_has_logged_out_writes_nothing_more(stub, resources, monkeypatch):
    monkeypatch.setattr(tokens, "KEEP", 0.1)
    with putting(stub) as stream:
        stream.send(event("7", 5))
        assert stream.answer().received == 1
        AuthToken.objects.all().delete()
        time.sleep(0.2)
        stream.send(*(event("8", 9, user=f"user {number}") for number in range(1_000)))
        assert stream.refusal()[0] == "UNAUTHENTICATED"
    assert values() == {("7", "ann"): 50}
    resources.assert_nothing_stays()


def test_made_up_tokens_leave_no_connections(grpc_server):
    address, before = grpc_server("ratings"), backends()
    with grpc.insecure_channel(address) as channel:
        streams = [Putting(RatingServiceStub(bearing(channel, f"{number:064}"))) for number in range(60)]
        for stream in streams:
            assert stream.refusal()[0] == "UNAUTHENTICATED"
            stream.end()
    wait_until(lambda: not backends() - before, WITHIN)


def test_a_client_that_reads_no_answers_is_not_kept(impatient, stub, resources):
    held = []
    bad = pb.PutRatingsRequest(events=[pb.RatingEvent(user_id="x" * 200)] * 1_000)

    def messages():
        while True:
            held.append(1)
            yield bad

    call = stub.PutRatings(messages(), timeout=60)
    wait_until(lambda: len(resources[0].streams) == 1)
    resources.assert_nothing_stays()
    # What its connection holds, and the inbox: it was not read on while its answers waited.
    assert len(held) < 2_000
    call.cancel()

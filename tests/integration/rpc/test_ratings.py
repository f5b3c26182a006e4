"""RatingService of movieapp.v1, called as clients call it."""

import math
from itertools import product

import pytest

from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.integration.rpc.calls import WITHIN, refusal
from tests.rating_tables import assert_consistent

ADDRESS = {"user_id": "ann", "record_id": "7", "record_type": "movie"}
ASKED = pb.GetAggregatedRatingRequest(record_id="7", record_type="movie")


@pytest.fixture
def stub(grpc_channel):
    return RatingServiceStub(grpc_channel)


def put(stub, value, **changed):
    stub.PutRating(pb.PutRatingRequest(**{**ADDRESS, **changed}, value=value), timeout=WITHIN)


def aggregate(stub):
    return stub.GetAggregatedRating(ASKED, timeout=WITHIN).rating


def test_one_rating_per_record_provider_and_user(stub):
    put(stub, 4.5)
    put(stub, 5.5)
    put(stub, 10, user_id="ben")
    put(stub, 0, provider_id="imdb")
    found = aggregate(stub)
    assert (found.count, found.average, found.version) == (3, pytest.approx(15.5 / 3), 4)
    assert_consistent()


def test_nobody_has_rated_it(stub):
    assert refusal(stub.GetAggregatedRating, ASKED) == ("NOT_FOUND", "ratings not found for the record")


def test_a_delete_may_be_said_again(stub):
    put(stub, 4.5)
    for _ in range(2):
        stub.DeleteRating(pb.DeleteRatingRequest(**ADDRESS), timeout=WITHIN)
    assert refusal(stub.GetAggregatedRating, ASKED)[0] == "NOT_FOUND"
    assert_consistent()


def test_what_is_no_rating(stub):
    for value in (math.nan, math.inf, -math.inf, -1, 10.1, 4.55, 1e300):
        code, words = refusal(stub.PutRating, pb.PutRatingRequest(**ADDRESS, value=value))
        assert code == "INVALID_ARGUMENT"
        assert words.startswith("value: ")
        assert words.endswith("is not a number from 0 to 10 with at most one decimal")
    assert refusal(stub.PutRating, pb.PutRatingRequest(**ADDRESS)) == ("INVALID_ARGUMENT", "value: it is missing")
    assert refusal(stub.GetAggregatedRating, ASKED)[0] == "NOT_FOUND"


def test_a_bad_id_is_named_as_the_wire_names_it(stub):
    for field, bad in product(ADDRESS, ("", "x" * 129, "a\x00b")):
        for call, message in ((stub.PutRating, pb.PutRatingRequest), (stub.DeleteRating, pb.DeleteRatingRequest)):
            code, words = refusal(call, message(**{**ADDRESS, field: bad}))
            assert code == "INVALID_ARGUMENT"
            assert words.startswith(f"{field}: ")
        if field != "user_id":
            asked = pb.GetAggregatedRatingRequest(**{"record_id": "7", "record_type": "movie", field: bad})
            assert refusal(stub.GetAggregatedRating, asked)[1].startswith(f"{field}: ")


def test_many_in_the_order_of_the_request(stub):
    put(stub, 4)
    put(stub, 6, record_type="book")
    wanted = [("book", "7"), ("movie", "9"), ("movie", "7"), ("book", "7"), ("movie", "é")]
    answer = stub.BatchGetAggregatedRatings(
        pb.BatchGetAggregatedRatingsRequest(records=[pb.Record(type=kind, id=one) for kind, one in wanted]),
        timeout=WITHIN,
    )
    assert [(one.record.type, one.record.id) for one in answer.ratings] == [*wanted[:3], wanted[4]]
    assert [one.rating.average if one.HasField("rating") else None for one in answer.ratings] == [6, None, 4, None]


def test_many_with_a_bad_one_or_too_many(stub):
    records = [pb.Record(type="movie", id="7"), pb.Record(type="movie")]
    code, words = refusal(stub.BatchGetAggregatedRatings, pb.BatchGetAggregatedRatingsRequest(records=records))
    assert code == "INVALID_ARGUMENT"
    assert words.startswith("records[1].id: it is empty")
    many = pb.BatchGetAggregatedRatingsRequest(records=[pb.Record(type="movie", id="7")] * 1001)
    assert refusal(stub.BatchGetAggregatedRatings, many)[1] == "records: it has 1001 entries: at most 1000"

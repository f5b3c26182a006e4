"""GetAggregatedRating with its distribution, called as clients call it."""

import pytest

from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from ratings.services import rating_put
from tests.integration.rpc.calls import WITHIN, refusal

ASKED = pb.GetAggregatedRatingRequest(record_id="7", record_type="movie", include_distribution=True)
PLAIN = pb.GetAggregatedRatingRequest(record_id="7", record_type="movie")


@pytest.fixture
def stub(grpc_channel):
    return RatingServiceStub(grpc_channel)


def distribution(stub):
    found = stub.GetAggregatedRating(ASKED, timeout=WITHIN).rating
    return (found.count, [(one.value, one.count) for one in found.distribution])


def test_how_often_each_value_was_given(stub):
    assert refusal(stub.GetAggregatedRating, ASKED) == ("NOT_FOUND", "ratings not found for the record")
    for user, tenths in (("ann", 45), ("ben", 100), ("cid", 0), ("dan", 45)):
        rating_put(record_type="movie", record_id="7", provider_id="", user_id=user, tenths=tenths)
    for _ in range(2):  # the second time from memory
        assert distribution(stub) == (4, [(0.0, 1), (4.5, 2), (10.0, 1)])
    rating_put(record_type="movie", record_id="7", provider_id="", user_id="cid", tenths=100)
    assert distribution(stub) == (4, [(4.5, 2), (10.0, 2)])
    assert not stub.GetAggregatedRating(PLAIN, timeout=WITHIN).rating.distribution

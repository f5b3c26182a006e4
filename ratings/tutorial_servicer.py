"""RatingService under its un-packaged name, with the tutorial's messages."""

import grpc

from protos.tutorial import movie_pb2, movie_pb2_grpc
from ratings.errors import RatingNotFound
from ratings.events import RatingEvent, checked_id, tenths_of
from ratings.selectors import aggregate_get
from ratings.services import ratings_write_now
from ratings.wire import NOT_RATED, record_of


class TutorialRatingServicer(movie_pb2_grpc.RatingServiceServicer):
    """See the .proto file. Its clients name no provider, and rate in whole numbers."""

    def GetAggregatedRating(
        self, request: movie_pb2.GetAggregatedRatingRequest, context: grpc.ServicerContext
    ) -> movie_pb2.GetAggregatedRatingResponse:
        """The mean of one record's ratings, 0 to 10."""
        record_type, record_id = record_of(record_type=request.record_type, record_id=request.record_id)
        aggregate = aggregate_get(record_type=record_type, record_id=record_id)
        if aggregate is None:
            raise RatingNotFound(NOT_RATED)
        return movie_pb2.GetAggregatedRatingResponse(rating_value=aggregate.average)

    def PutRating(
        self, request: movie_pb2.PutRatingRequest, context: grpc.ServicerContext
    ) -> movie_pb2.PutRatingResponse:
        """Sets the user's one rating of the record."""
        ratings_write_now(
            [
                RatingEvent(
                    record_type=checked_id(request.record_type, field="record_type"),
                    record_id=checked_id(request.record_id, field="record_id"),
                    provider_id="",
                    user_id=checked_id(request.user_id, field="user_id"),
                    tenths=tenths_of(request.record_value, field="record_value"),
                )
            ]
        )
        return movie_pb2.PutRatingResponse()

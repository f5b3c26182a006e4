"""RatingService of movieapp.v1: a message in, one domain call, a message out."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import grpc

from protos.movieapp.v1 import rating_pb2, rating_pb2_grpc
from ratings.distribution import distribution_get
from ratings.errors import InvalidRating, RatingNotFound
from ratings.events import RatingEvent
from ratings.inbox import Inbox
from ratings.selectors import aggregate_get, records_aggregates_get
from ratings.services import ratings_write_now
from ratings.streaming import RatingStream
from ratings.watching import AggregateWatches
from ratings.wire import (
    MOST_EVENTS,
    NOT_RATED,
    aggregate_message,
    batch_message,
    delete_event,
    put_event,
    record_of,
    record_rating_message,
    records_of,
    stream_events,
    watched_message,
)

# What waits for a stream's writer: one batch that is next, and one that is being received.
_MOST_AHEAD = 2 * MOST_EVENTS
# Seconds that a stream is kept while its client sends nothing.
_IDLE = 60.0
_WATCHED_FOR = 1.0


class Stream(Protocol):
    """What a server tells of a call with many answers."""

    def goes_on(self) -> bool:
        """False once the client has gone. Raises when the server stops."""

    def wakes(self, wake: Callable[[], None]) -> None:
        """Has `wake` called, from any thread, whenever `goes_on` has something new to say."""

    def check(self) -> None:
        """Raises once the caller may not write any more."""


class RatingServicer(rating_pb2_grpc.RatingServiceServicer):
    """See the .proto file. Domain errors go out as they are. `stream_of` knows the call that a context stands for."""

    def __init__(self, *, watches: AggregateWatches, stream_of: Callable[[grpc.ServicerContext], Stream]) -> None:
        self._watches = watches
        self._stream_of = stream_of

    def GetAggregatedRating(
        self, request: rating_pb2.GetAggregatedRatingRequest, context: grpc.ServicerContext
    ) -> rating_pb2.GetAggregatedRatingResponse:
        """One record's aggregate."""
        record_type, record_id = record_of(record_type=request.record_type, record_id=request.record_id)
        if request.include_distribution:
            return _with_distribution(record_type, record_id)
        aggregate = aggregate_get(record_type=record_type, record_id=record_id)
        if aggregate is None:
            raise RatingNotFound(NOT_RATED)
        return rating_pb2.GetAggregatedRatingResponse(rating=aggregate_message(aggregate))

    def BatchGetAggregatedRatings(
        self, request: rating_pb2.BatchGetAggregatedRatingsRequest, context: grpc.ServicerContext
    ) -> rating_pb2.BatchGetAggregatedRatingsResponse:
        """Many records' aggregates, in the order of the request."""
        records = records_of(request.records, field="records")
        found = records_aggregates_get(records)
        return rating_pb2.BatchGetAggregatedRatingsResponse(
            ratings=[record_rating_message(record, found.get(record)) for record in records]
        )

    def PutRating(
        self, request: rating_pb2.PutRatingRequest, context: grpc.ServicerContext
    ) -> rating_pb2.PutRatingResponse:
        """Sets one rating."""
        ratings_write_now([put_event(request)])
        return rating_pb2.PutRatingResponse()

    def DeleteRating(
        self, request: rating_pb2.DeleteRatingRequest, context: grpc.ServicerContext
    ) -> rating_pb2.DeleteRatingResponse:
        """Removes one rating, if there is one."""
        ratings_write_now([delete_event(request)])
        return rating_pb2.DeleteRatingResponse()

    def PutRatings(
        self, request_iterator: Iterator[rating_pb2.PutRatingsRequest], context: grpc.ServicerContext
    ) -> Iterator[rating_pb2.PutRatingsResponse]:
        """Writes events in batches: what has come while the last one was written, so that one alone waits for none."""
        inbox: Inbox[RatingEvent | InvalidRating] = Inbox(most=_MOST_AHEAD, idle=_IDLE)
        stream = self._stream_of(context)
        ratings = RatingStream()
        with closing(inbox):
            stream.wakes(inbox.wake)
            # grpc's iterator blocks for as long as the client sends nothing; it ends with the call.
            received = map(stream_events, request_iterator)
            threading.Thread(target=inbox.fill, args=(received,), name="grpc-put-ratings", daemon=True).start()
            while stream.goes_on() and (events := inbox.take(most=MOST_EVENTS)) is not None:
                if events:
                    stream.check()
                    yield batch_message(ratings.write(events))

    def WatchAggregate(
        self, request: rating_pb2.WatchAggregateRequest, context: grpc.ServicerContext
    ) -> Iterator[rating_pb2.WatchAggregateResponse]:
        """How it stands with some records, and then each change."""
        records = records_of(request.records, field="records")
        if not records:
            raise InvalidRating("records", "it is empty: name the records to watch")
        stream = self._stream_of(context)
        with self._watches.open(records) as watch:
            stream.wakes(watch.wake)
            while stream.goes_on():
                if states := watch.next(timeout=_WATCHED_FOR):
                    yield watched_message(states)


def _with_distribution(record_type: str, record_id: str) -> rating_pb2.GetAggregatedRatingResponse:
    found = distribution_get(record_type=record_type, record_id=record_id)
    if found is None:
        raise RatingNotFound(NOT_RATED)
    return rating_pb2.GetAggregatedRatingResponse(rating=aggregate_message(found.aggregate, found.counts))

"""All that is measured, each as something that one caller does again and again."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from random import Random

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from protos.movieapp.v1 import movie_pb2, rating_pb2
from protos.movieapp.v1.movie_pb2_grpc import MovieServiceStub
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.bench.grpc.load import RECORD_TYPE, some_record, some_user, some_value
from tests.bench.grpc.server import EMPTY_METHOD, EMPTY_SERVICE

REFERENCE = "empty"
_WITHIN = 30.0
_MANY = 100

Once = Callable[[], object]
"""Makes one call and returns once it is answered."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a caller has: a channel of its own, or None in process; a token; and a random source."""

    channel: grpc.Channel | None
    token: str
    random: Random

    def over(self) -> grpc.Channel:
        """The channel."""
        assert self.channel is not None
        return self.channel


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the table. `kind` is ours, limit or inside (the same work in process).

    `events` are the rating events of one call.
    """

    name: str
    title: str
    kind: str
    opened: Callable[[Caller], AbstractContextManager[Once]]
    events: int = 0


@contextmanager
def _empty(caller: Caller) -> Iterator[Once]:
    call = caller.over().unary_unary(f"/{EMPTY_SERVICE}/{EMPTY_METHOD}")
    yield lambda: call(b"", timeout=_WITHIN)


@contextmanager
def _health(caller: Caller) -> Iterator[Once]:
    call, request = HealthStub(caller.over()).Check, health_pb2.HealthCheckRequest()
    yield lambda: call(request, timeout=_WITHIN)


@contextmanager
def _aggregated_rating(caller: Caller) -> Iterator[Once]:
    call, random = RatingServiceStub(caller.over()).GetAggregatedRating, caller.random

    def once() -> object:
        request = rating_pb2.GetAggregatedRatingRequest(record_type=RECORD_TYPE, record_id=some_record(random))
        return call(request, timeout=_WITHIN)

    yield once


@contextmanager
def _movie_details(caller: Caller) -> Iterator[Once]:
    call, random = MovieServiceStub(caller.over()).GetMovieDetails, caller.random
    yield lambda: call(movie_pb2.GetMovieDetailsRequest(movie_id=some_record(random)), timeout=_WITHIN)


def _put_ratings(events: int) -> Callable[[Caller], AbstractContextManager[Once]]:
    """A stream on which the next message goes out once the last one is acknowledged."""

    @contextmanager
    def opened(caller: Caller) -> Iterator[Once]:
        messages: SimpleQueue[rating_pb2.PutRatingsRequest | None] = SimpleQueue()
        metadata = [("authorization", f"Bearer {caller.token}")]
        answers = RatingServiceStub(caller.over()).PutRatings(iter(messages.get, None), metadata=metadata)
        sent = 0

        def once() -> object:
            nonlocal sent
            messages.put(rating_pb2.PutRatingsRequest(events=[_event(caller.random) for _ in range(events)]))
            sent += events
            while (answer := next(answers)).received < sent:
                pass
            assert not answer.rejected, answer
            return answer

        yield once
        messages.put(None)

    return opened


def _event(random: Random) -> rating_pb2.RatingEvent:
    record = rating_pb2.Record(type=RECORD_TYPE, id=some_record(random))
    return rating_pb2.RatingEvent(record=record, user_id=some_user(random), put=some_value(random))


@contextmanager
def _aggregate_inside(caller: Caller) -> Iterator[Once]:
    from ratings.selectors import aggregate_get

    yield lambda: aggregate_get(record_type=RECORD_TYPE, record_id=some_record(caller.random))


@contextmanager
def _details_inside(caller: Caller) -> Iterator[Once]:
    from movieapp.catalogue.database_details import DatabaseDetails

    source = DatabaseDetails()
    yield lambda: source.one(some_record(caller.random), within=math.inf)


def _write_inside(events: int) -> Callable[[Caller], AbstractContextManager[Once]]:
    @contextmanager
    def opened(caller: Caller) -> Iterator[Once]:
        from django.db import connection

        from ratings.events import RatingEvent
        from ratings.streaming import RatingStream

        random, stream = caller.random, RatingStream()

        def event() -> RatingEvent:
            value = int(some_value(random)) * 10
            return RatingEvent(RECORD_TYPE, some_record(random), "", some_user(random), value)

        with closing(connection):
            yield lambda: stream.write([event() for _ in range(events)])

    return opened


_ALL = (
    Variant(REFERENCE, "limit: an empty handler", "limit", _empty),
    Variant("health", "limit: health, a method without a read", "limit", _health),
    Variant("aggregate", "GetAggregatedRating", "ours", _aggregated_rating),
    Variant("details", "GetMovieDetails", "ours", _movie_details),
    Variant("put", "PutRatings, 1 event a message", "ours", _put_ratings(1), events=1),
    Variant("put-many", f"PutRatings, {_MANY} events a message", "ours", _put_ratings(_MANY), events=_MANY),
    Variant("aggregate-inside", "in process: one aggregate", "inside", _aggregate_inside),
    Variant("details-inside", "in process: details", "inside", _details_inside),
    Variant("put-inside", "in process: 1 event written", "inside", _write_inside(1), events=1),
    Variant("put-many-inside", f"in process: {_MANY} events written", "inside", _write_inside(_MANY), events=_MANY),
)
VARIANTS: Mapping[str, Variant] = {variant.name: variant for variant in _ALL}
"""By name, in the order in which they are listed."""

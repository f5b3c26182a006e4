"""Services that answer as a test wants, in place of ours."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from protos.movieapp.v1 import metadata_pb2, metadata_pb2_grpc, rating_pb2, rating_pb2_grpc

M = TypeVar("M")

ALIEN = metadata_pb2.Metadata(id="7", title="Alien", director="Scott")
RATING = rating_pb2.AggregatedRating(average=4.25, count=2, version=3)


class StandIn:
    """One service: `do` is called with each call's context, and may refuse it, wait, or let the usual answer go out.

    With `says_nothing` that is an empty message; `left_out` is an id that answers for many are silent about. `health`
    is its health service, if it has one.
    """

    def __init__(self) -> None:
        self.do: Callable[[grpc.ServicerContext], object] = lambda context: None
        self.says_nothing = False
        self.left_out = ""
        self.health: health.HealthServicer | None = None
        self.times_left: list[float] = []
        self.port = 0

    @property
    def calls(self) -> int:
        return len(self.times_left)

    def answer(self, usual: M, context: grpc.ServicerContext) -> M:
        self.times_left.append(context.time_remaining())
        self.do(context)
        return type(usual)() if self.says_nothing else usual


class Metadata(StandIn, metadata_pb2_grpc.MetadataServiceServicer):
    """Knows Alien."""

    def GetMetadata(self, request: Any, context: Any) -> Any:
        return self.answer(metadata_pb2.GetMetadataResponse(metadata=ALIEN), context)

    def BatchGetMetadata(self, request: Any, context: Any) -> Any:
        told = [one for one in request.movie_ids if one != self.left_out]
        found, missing = [ALIEN for one in told if one == ALIEN.id], [one for one in told if one != ALIEN.id]
        return self.answer(metadata_pb2.BatchGetMetadataResponse(metadata=found, missing_movie_ids=missing), context)


class Ratings(StandIn, rating_pb2_grpc.RatingServiceServicer):
    """Knows the rating of Alien."""

    def GetAggregatedRating(self, request: Any, context: Any) -> Any:
        return self.answer(rating_pb2.GetAggregatedRatingResponse(rating=RATING), context)

    def BatchGetAggregatedRatings(self, request: Any, context: Any) -> Any:
        told = [one for one in request.records if one.id != self.left_out]
        rated = [rating_pb2.RecordRating(record=one, rating=RATING if one.id == ALIEN.id else None) for one in told]
        return self.answer(rating_pb2.BatchGetAggregatedRatingsResponse(ratings=rated), context)


class Hang:
    """Keeps calls without an answer until the test is over, or their callers have gone."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __call__(self, context: grpc.ServicerContext) -> None:
        context.add_callback(self._over.set)
        self._over.wait(30)


def refuse(code: grpc.StatusCode, words: str = "at 10.0.0.5:8082") -> Callable[[grpc.ServicerContext], object]:
    """Answers with this status; the words are such as no caller of ours should see."""
    return lambda context: context.abort(code, words)


@contextmanager
def running(*services: StandIn) -> Iterator[None]:
    """Each of them on a port of its own."""
    servers = []
    for service in services:
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        if isinstance(service, Metadata):
            metadata_pb2_grpc.add_MetadataServiceServicer_to_server(service, server)
        else:
            rating_pb2_grpc.add_RatingServiceServicer_to_server(service, server)  # type: ignore[arg-type]
        if service.health is not None:
            health_pb2_grpc.add_HealthServicer_to_server(service.health, server)
        service.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
    try:
        yield
    finally:
        for server in servers:
            server.stop(0).wait()

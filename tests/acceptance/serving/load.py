"""Callers of the movie service that go on whatever happens, and what became of each of their calls."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from protos.movieapp.v1 import movie_pb2 as pb
from protos.movieapp.v1.movie_pb2_grpc import MovieServiceStub
from tests.waiting import wait_until

DEADLINE = 4.0
"""Seconds that each call has."""

CALLERS = 3
"""How many call at once."""

_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: when it began, how long it took, in seconds, and how it ended."""

    at: float
    seconds: float
    code: str
    words: str
    rating: float | None


class Load:
    """The calls so far."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.stopping = threading.Event()

    @property
    def failed(self) -> Sequence[Outcome]:
        """Those without the whole answer."""
        return [one for one in self.outcomes if one.code != "OK" or one.rating is None]

    def since(self, moment: float) -> Sequence[Outcome]:
        """Those that began then or later."""
        return [one for one in self.outcomes if one.at >= moment]

    def wait_for(self, calls: int) -> None:
        """Returns once so many more calls are answered; what is under way does not count."""
        wanted = len(self.outcomes) + calls
        wait_until(lambda: len(self.outcomes) >= wanted, message="the calls do not go on")

    def call(self, stub: MovieServiceStub) -> None:
        """Makes one, and remembers it."""
        begun = time.monotonic()
        code, words, rating = "OK", "", None
        try:
            answer = stub.GetMovieDetails(pb.GetMovieDetailsRequest(movie_id="7"), timeout=DEADLINE)
            rating = answer.rating.average if answer.HasField("rating") else None
        except grpc.RpcError as error:
            code, words = error.code().name, error.details() or ""
        self.outcomes.append(Outcome(begun, time.monotonic() - begun, code, words, rating))


@contextmanager
def load_on(address: str) -> Iterator[Load]:
    """Calls the movie service at this address again and again inside the block, each caller over its own connection."""
    load = Load()

    def call_on() -> None:
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = MovieServiceStub(channel)
            while not load.stopping.wait(_PAUSE):
                load.call(stub)

    callers = [threading.Thread(target=call_on, daemon=True) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for caller in callers:
            caller.join()

"""What the tests of streams share: the resources of a server, a client that sends when told to, what must not stay."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from movieapp.catalogue.serving import resources as serving_resources
from movieapp.rpc.open_streams import OpenStreams
from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.integration.rpc.calls import WITHIN
from tests.waiting import wait_until


class Resources(list[Any]):
    """What the servers of a test have made, the latest last."""

    def assert_nothing_stays(self) -> None:
        """No stream, no watched record, no thread of a stream, a moment after the last one has ended."""
        for one in self:
            wait_until(lambda one=one: len(one.streams) == 0 and len(one.watches) == 0, WITHIN)
        wait_until(lambda: not put_threads(), WITHIN, lambda: str(put_threads()))


def put_threads() -> list[str]:
    """The threads that receive for PutRatings."""
    return [thread.name for thread in threading.enumerate() if thread.name == "grpc-put-ratings"]


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> Resources:
    """Filled as servers start."""
    made = Resources()
    original = serving_resources.Resources

    def make(**parts: Any) -> Any:
        made.append(original(**parts))
        return made[-1]

    monkeypatch.setattr(serving_resources, "Resources", make)
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers whose streams have half a second to take an answer."""
    monkeypatch.setattr(serving_resources, "OpenStreams", lambda: OpenStreams(patience=0.5))


class Putting:
    """One PutRatings call, whose messages are sent one by one."""

    def __init__(self, stub: RatingServiceStub, *, timeout: float = WITHIN) -> None:
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.call = stub.PutRatings(iter(self._messages.get, None), timeout=timeout)

    def send(self, *events: pb.RatingEvent) -> None:
        """One message with these events."""
        self._messages.put(pb.PutRatingsRequest(events=events))

    def end(self) -> None:
        """Nothing more is sent."""
        self._messages.put(None)

    def answer(self) -> pb.PutRatingsResponse:
        """The next answer."""
        return next(self.call)

    def refusal(self) -> tuple[str, str]:
        """Status and words of its end; AssertionError for an answer that comes before it."""
        try:
            for answer in self.call:
                raise AssertionError(f"answered: {answer}")
        except grpc.RpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""


@contextmanager
def putting(stub: RatingServiceStub, **options: Any) -> Iterator[Putting]:
    """A call that is over after the block."""
    one = Putting(stub, **options)
    try:
        yield one
    finally:
        one.end()
        one.call.cancel()


def event(record: str, value: float | None, *, user: str = "ann", provider: str = "") -> pb.RatingEvent:
    """A put, or a delete where there is no value."""
    made = pb.RatingEvent(record=pb.Record(type="movie", id=record), user_id=user, provider_id=provider)
    if value is None:
        made.delete.SetInParent()
    else:
        made.put = value
    return made

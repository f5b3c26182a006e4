"""The streams that a server has open: ended when it stops, and when a client does not take its answers."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import structlog

from movieapp.rpc.errors import StreamEnded

PATIENCE = 60.0
"""Seconds that an answer may wait for its client to take it."""

_LOOK_EVERY = 1.0

log = structlog.get_logger(__name__)


class OpenStream:
    """One stream, whose thread asks whether it goes on; made by OpenStreams.open."""

    def __init__(
        self, *, cancel: Callable[[], object], check: Callable[[], object], seconds: Callable[[], float]
    ) -> None:
        self._cancel = cancel
        self._check = check
        self._seconds = seconds
        self._wake: Callable[[], None] | None = None
        self._is_left = False
        self._is_ended = False
        self._answering_since: float | None = None

    def goes_on(self) -> bool:
        """False once the client has gone. Raises StreamEnded when the server stops."""
        if self._is_ended:
            raise StreamEnded("the server stops: open the stream again, at another one")
        return not self._is_left

    def check(self) -> None:
        """Ask before each write. Raises Unauthenticated or NotPermitted: tokens end while streams last."""
        self._check()

    def wakes(self, wake: Callable[[], None]) -> None:
        """Has `wake` called, from any thread, whenever `goes_on` has something new to say."""
        self._wake = wake
        if self._is_left or self._is_ended:
            wake()

    def leave(self) -> None:
        """The client has gone. For any thread."""
        self._is_left = True
        if self._wake is not None:
            self._wake()

    def end(self) -> None:
        """The server stops; a stream that nobody can wake is cancelled. For any thread."""
        self._is_ended = True
        if self._wake is not None:
            self._wake()
        else:
            self._cancel()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around the handing over of one answer, which lasts for as long as the client has no room for it."""
        self._answering_since = self._seconds()
        try:
            yield
        finally:
            self._answering_since = None

    def cancel_after(self, patience: float) -> bool:
        """Ends the call, from any thread, if its client has not taken an answer for so many seconds; True if it has."""
        since = self._answering_since
        if since is None or self._seconds() - since < patience:
            return False
        self._is_left = True
        self._cancel()
        return True


class OpenStreams:
    """All that are open at one server. For any thread."""

    def __init__(self, *, patience: float = PATIENCE, seconds: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._seconds = seconds
        self._lock = threading.Lock()
        self._open: dict[grpc.ServicerContext, OpenStream] = {}
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def open(self, context: grpc.ServicerContext, *, check: Callable[[], object]) -> Iterator[OpenStream]:
        """A call's stream, open inside the block; `check` raises once its caller may not write. Raises StreamEnded."""
        stream = OpenStream(cancel=context.cancel, check=check, seconds=self._seconds)
        with self._lock:
            if self._is_stopping:
                raise StreamEnded("the server stops: open the stream again, at another one")
            self._open[context] = stream
        try:
            if not context.add_callback(stream.leave):
                stream.leave()
            yield stream
        finally:
            with self._lock:
                del self._open[context]

    def of(self, context: grpc.ServicerContext) -> OpenStream:
        """The open stream of this call."""
        return self._open[context]

    def stop(self) -> None:
        """Ends them all, and those that come later at once."""
        with self._lock:
            self._is_stopping = True
            streams = list(self._open.values())
        for stream in streams:
            stream.end()

    def turn(self) -> None:
        """Ends those whose client has not taken an answer for too long."""
        with self._lock:
            streams = list(self._open.values())
        ended = sum(stream.cancel_after(self._patience) for stream in streams)
        if ended:
            log.warning("streams_not_read", ended=ended, seconds=self._patience)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Looks once a second inside the block."""
        ends = threading.Event()

        def look() -> None:
            while not ends.wait(_LOOK_EVERY):
                self.turn()

        looking = threading.Thread(target=look, name="grpc-open-streams", daemon=True)
        looking.start()
        try:
            yield
        finally:
            ends.set()
            looking.join()

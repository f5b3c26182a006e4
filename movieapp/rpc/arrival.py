"""Ends calls whose message does not come: each of them holds a thread that others wait for (slow loris)."""

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import grpc

from movieapp.rpc.errors import Expired

FIRST_WITHIN = 4.5
"""Seconds from when a call has a thread; with the time between two looks, five at most."""

NEXT_WITHIN = 120.0
"""Seconds between two messages of a call that sends many; far longer than any method's own bound."""

HURRIED_WITHIN = 0.5
"""Seconds, once there is a crowd of them: those who are this late make room."""

# So long between two looks: this process was stopped, or starved, and has not read what has come since.
_PAUSED = 1.0


class Arrivals:
    """Waits for the messages of a server's calls; one thread, inside the block, ends those that wait for too long.

    A call that is ended is CANCELLED to its caller. `crowd`: so many calls without their first message are too many,
    and each has `hurried` seconds then. `begins_late`: calls that send many need not begin at once, and may wait before
    the first as between any two.
    """

    def __init__(
        self,
        *,
        crowd: int,
        hurried: float = HURRIED_WITHIN,
        begins_late: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._crowd = crowd
        self._hurried = hurried
        self._clock = clock
        # Since when a call has waited; whoever takes it out, its own thread or the one that looks, has decided.
        self._first: dict[grpc.ServicerContext, float] = {}
        self._next: dict[grpc.ServicerContext, float] = {}
        self._first_of_many = self._next if begins_late else self._first
        self._looked_at = clock()
        self._resumed_at = 0.0
        self._ends = threading.Event()
        self._looking = threading.Thread(target=self._look, name="grpc-arrivals", daemon=True)

    def __enter__(self) -> "Arrivals":
        self._looking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ends.set()
        self._looking.join()

    def first(self, messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The call's first message, or None where it has none. Raises Expired, or what grpc raises of an ended call."""
        return self._awaited(messages, context, self._first)

    def each(self, messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """All messages of the call. Raises as `first` does."""
        message = self._awaited(messages, context, self._first_of_many)
        while message is not None:
            yield message
            message = self._awaited(messages, context, self._next)

    def turn(self) -> None:
        """Looks once."""
        now = self._clock()
        if now - self._looked_at >= _PAUSED:
            self._resumed_at = now
        self._looked_at = now
        within = FIRST_WITHIN if len(self._first) < self._crowd else self._hurried
        self._end_waiting(self._first, since=now - within)
        self._end_waiting(self._next, since=now - NEXT_WITHIN)

    def _awaited(
        self, messages: Iterator[Any], context: grpc.ServicerContext, waiting: dict[grpc.ServicerContext, float]
    ) -> Any:
        waiting[context] = self._clock()
        try:
            message = next(messages, None)
        finally:
            was_ended = waiting.pop(context, None) is None
        if was_ended:
            raise Expired("the call's message did not come in time")
        return message

    def _end_waiting(self, waiting: dict[grpc.ServicerContext, float], *, since: float) -> None:
        if since < self._resumed_at:
            return
        for context, begun in list(waiting.items()):
            # A message that has come meanwhile was faster.
            if begun <= since and waiting.pop(context, None) is not None:
                context.cancel()  # type: ignore[no-untyped-call]

    def _look(self) -> None:
        while not self._ends.wait(self._hurried / 2):
            self.turn()

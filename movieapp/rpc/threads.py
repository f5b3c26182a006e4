"""Threads for calls: how many calls may wait for one, and whether those in hand get on."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from movieapp.rpc.repeated import Repeated


class CallThreads(ThreadPoolExecutor):
    """A pool that counts what it has in hand: `size` calls at work and `waiting` more.

    It takes what it is given, however full it is: who hands calls to it asks `is_full` first. `begins_with` threads
    run from the beginning on, so that no call waits for ever where the machine has no more; making the pool raises
    RuntimeError where it has not as many. They take turns, which costs more than one that takes all there is to do.
    """

    def __init__(
        self,
        size: int,
        *,
        waiting: int,
        name: str = "",
        begins_with: int = 1,
        initializer: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(size, name, initializer)
        self._size = size
        self._most = size + waiting
        self._clock = clock
        self._counting = threading.Lock()
        self._in_hand = 0
        # When a call has ended last, or the last free thread was taken.
        self._moved_at = clock()
        self._shortage = Repeated("no_thread")
        self._begin(min(size, begins_with))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another call, not even to wait."""
        return self._in_hand >= self._most

    def is_stuck(self, seconds: float) -> bool:
        """Whether all threads have been at work for so long, and not one of their calls has ended."""
        with self._counting:
            return self._in_hand >= self._size and self._clock() - self._moved_at > seconds

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See Executor.submit, but it never raises: grpc's one thread that serves would end with that.

        What comes after the pool's end is dropped, and its future cancelled. A call for which the machine has no thread
        waits for one of those that there are.
        """
        with self._counting:
            self._in_hand += 1
            if self._in_hand == self._size:
                self._moved_at = self._clock()
        try:
            return super().submit(self._counted, call, *args, **kwargs)
        except RuntimeError:  # the pool is at its end, or broken
            with self._counting:
                self._in_hand -= 1
            dropped: Future[Any] = Future()
            dropped.cancel()
            return dropped

    def _begin(self, threads: int) -> None:
        """Starts so many: each takes one of what is handed over here, and waits for the others to have theirs."""
        together = threading.Barrier(threads)
        for _ in range(threads):
            super().submit(together.wait)
        if len(self._threads) < threads:
            together.abort()
            self.shutdown(wait=False)
            raise RuntimeError(f"the machine has no {threads} threads for calls")

    def _adjust_thread_count(self) -> None:
        # Called with the call in the queue already, so that raising would neither run it nor take it back.
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            self._shortage.tell(threads=len(self._threads), error=str(error))

    def _counted(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            with self._counting:
                self._in_hand -= 1
                self._moved_at = self._clock()


class AtOnce(ThreadPoolExecutor):
    """No threads: whoever hands something over does it itself. For grpc, and what never waits nor raises."""

    def __init__(self) -> None:
        super().__init__(1)

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See Executor.submit; done when it returns."""
        done: Future[Any] = Future()
        done.set_result(call(*args, **kwargs))
        return done

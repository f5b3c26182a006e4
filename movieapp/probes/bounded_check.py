"""Asks a slow or hanging thing whether it works, and answers in bounded time."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress


class BoundedCheck:
    """A check that runs in a thread of its own, at most once at a time; its answer is kept for `keep` seconds.

    However many ask and however long the check hangs, there is one thread. A check that hangs answers False, and so
    does one that raises, or for which the machine has no thread.
    """

    def __init__(self, check: Callable[[], bool], *, keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None
        self._answer = False
        self._answered_at = float("-inf")

    def start(self) -> None:
        """Begins to find out, unless that is under way or the last answer is fresh."""
        with self._lock:
            if self._is_fresh() or (self._running is not None and self._running.is_alive()):
                return
            running = threading.Thread(target=self._run, name="bounded-check", daemon=True)
            with suppress(RuntimeError):
                running.start()
                self._running = running

    def answer(self, *, timeout: float) -> bool:
        """What the check says, within `timeout` seconds from now."""
        self.start()
        running = self._running
        if running is not None:
            running.join(max(timeout, 0.0))
        with self._lock:
            return self._answer and self._is_fresh()

    def _run(self) -> None:
        answer = False
        try:
            answer = self._check()
        finally:
            with self._lock:
                self._answer = answer
                self._answered_at = self._clock()

    def _is_fresh(self) -> bool:
        return self._clock() - self._answered_at < self._keep

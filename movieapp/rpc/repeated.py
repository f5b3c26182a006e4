"""Tells the log of what may happen a thousand times a second."""

import threading
import time
from collections.abc import Callable, Hashable

import structlog

EVERY = 5.0
"""Seconds between two entries of the same kind."""

log = structlog.get_logger(__name__)


class Repeated:
    """Logs an event as an error, the same one at most every five seconds: `more` is how often it happened in between.

    For any number of threads. It remembers all kinds that there ever were: they are to be few.
    """

    def __init__(self, event: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._clock = clock
        self._lock = threading.Lock()
        # By the fields: when it was logged last, and how often it has happened since.
        self._told: dict[tuple[Hashable, ...], tuple[float, int]] = {}

    def tell(self, **fields: Hashable) -> None:
        """It has happened; what has the same fields is the same."""
        kind, now = tuple(fields.values()), self._clock()
        with self._lock:
            told_at, more = self._told.get(kind, (now - EVERY, 0))
            is_due = now - told_at >= EVERY
            self._told[kind] = (now, 0) if is_due else (told_at, more + 1)
        if is_due:
            log.error(self._event, **fields, more=more)

"""Bounds the memory of answers that their callers do not take: grpc keeps each until its call is over."""

import threading

import grpc

from movieapp.rpc.errors import TooMuchUnsent

SMALL = 4 * 1024
"""Bytes; a smaller answer costs less than its call, and is not counted."""

MOST_UNSENT = 128 * 1024 * 1024
"""Bytes; twice what 16 threads can have in hand."""


class Departures:
    """The answers of a server that are on their way. For any number of threads."""

    def __init__(self, *, most: int = MOST_UNSENT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._unsent = 0

    def count(self, size: int, context: grpc.ServicerContext) -> None:
        """Counts an answer of so many bytes until its call is over. Raises TooMuchUnsent where it is one too many."""
        with self._lock:
            if self._unsent + size > self._most:
                raise TooMuchUnsent("the server has too many answers that callers do not take: try again later")
            self._unsent += size
        if not context.add_callback(lambda: self._forget(size)):
            self._forget(size)

    def _forget(self, size: int) -> None:
        with self._lock:
            self._unsent -= size

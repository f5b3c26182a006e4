"""What has arrived and waits to be worked on: bounded, between the thread that receives and the one that works."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from ratings.errors import StreamIdle

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Batches of items in their order, `most` items at a time: whoever puts more waits for whoever takes.

    `idle` is seconds: how long `take` waits for the next batch.
    """

    def __init__(self, *, most: int, idle: float) -> None:
        self._most = most
        self._idle = idle
        self._changed = threading.Condition()
        self._batches: deque[Sequence[Item]] = deque()
        self._held = 0
        self._is_closed = False
        self._is_woken = False
        self._is_full = False
        self._fault: Exception | None = None

    def fill(self, batches: Iterable[Sequence[Item]]) -> None:
        """Takes in all batches, none of them larger than `most`, waiting for room; returns early once it is closed.

        An error of `batches` is raised by `take`, once everything before it is taken.
        """
        fault = None
        try:
            for batch in batches:
                if not self._put(batch):
                    return
        except Exception as error:  # told to whoever takes
            fault = error
        with self._changed:
            self._fault = fault
            self._is_full = True
            self._changed.notify_all()

    def take(self, *, most: int) -> Sequence[Item] | None:
        """The next batches together, up to `most` items, which no single batch may exceed; None at the end.

        Nothing after `wake`. Raises StreamIdle when nothing comes, and what `fill` met.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._batches or self._is_full or self._is_woken, self._idle):
                raise StreamIdle(f"nothing has come for {self._idle:g} s: open a new stream when there is something")
            self._is_woken = False
            taken: list[Item] = []
            while self._batches and len(taken) + len(self._batches[0]) <= most:
                taken += self._batches.popleft()
            self._held -= len(taken)
            self._changed.notify_all()
            if taken or not self._is_full:
                return taken
            if self._fault is not None:
                raise self._fault
            return None

    def wake(self) -> None:
        """Lets `take` return now. For any thread."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Takes in nothing more, and drops what is there. For any thread."""
        with self._changed:
            self._is_closed = True
            self._batches.clear()
            self._changed.notify_all()

    def _put(self, batch: Sequence[Item]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._held + len(batch) <= self._most)
            if self._is_closed:
                return False
            self._batches.append(batch)
            self._held += len(batch)
            self._changed.notify_all()
            return True

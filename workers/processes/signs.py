"""Signs of life: bytes that a process writes into a pipe now and then, for the one that supervises it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_EVERY = 2.0
_SIGN, _LAST = b".", b"!"
# So long between two looks: the process that looks was stopped, and those that it looks at may have been as well.
_PAUSED = 1.0


class SignsOfLife:
    """The end of the pipe at which they are looked for; `descriptor` is the other one, for the process that gives them.

    Call `give_away` once that process has it. For one thread.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reading, self.descriptor = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.descriptor, False)
        self._last: float | None = None
        self._looked_at = clock()
        self._is_over = False
        self._is_closed = False

    def give_away(self) -> None:
        """Closes the other process's end, in this one."""
        os.close(self.descriptor)

    def silent_seconds(self) -> float:
        """Since the last sign, 0 before the first and once no more are to come.

        Call it often: a pause in which nobody looked does not count.
        """
        if self._is_closed:
            return 0.0
        now = self._clock()
        has_paused = now - self._looked_at > _PAUSED
        self._looked_at = now
        if self._have_come() or (has_paused and self._last is not None):
            self._last = now
        return 0.0 if self._last is None or self._is_over else now - self._last

    def close(self) -> None:
        """Nobody looks any more. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._reading)

    def _have_come(self) -> bool:
        try:
            signs = os.read(self._reading, 4_096)
        except BlockingIOError:
            return False
        self._is_over = self._is_over or _LAST in signs
        return bool(signs)


@contextmanager
def signs_given(descriptor: int | None) -> Iterator[None]:
    """Signs of life go into `descriptor` inside the block, from a thread of their own; None: nobody looks for them.

    The block's end is told, too: what a process does after it may take as long as it likes.
    """
    if descriptor is None:
        yield
        return
    ends = threading.Event()
    giving = threading.Thread(target=_give, args=(descriptor, ends), name="signs-of-life", daemon=True)
    giving.start()
    try:
        yield
    finally:
        ends.set()
        giving.join()


def _give(descriptor: int, ends: threading.Event) -> None:
    _write(descriptor, _SIGN)
    while not ends.wait(_EVERY):
        _write(descriptor, _SIGN)
    _write(descriptor, _LAST)


def _write(descriptor: int, sign: bytes) -> None:
    with suppress(OSError):  # it is full, or nobody is there any more to look
        os.write(descriptor, sign)

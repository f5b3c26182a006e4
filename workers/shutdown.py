"""Two-stage shutdown of a worker: the first signal asks it to finish its work, the second ends it at once."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_VISIBLE_CURSOR = "\x1b[?25h"


class Shutdown:
    """Whether somebody asked for the end, and by which signal."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def is_requested(self) -> bool:
        """True from the first signal on."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a process says that was ended by this signal: 128 + its number; 0 without one."""
        return 0 if self.signal is None else 128 + self.signal


class _ParentsWish(Shutdown):
    """Asked for by a signal, or by the parent's being gone."""

    def __init__(self, parent: int) -> None:
        super().__init__()
        self._parent = parent

    @property
    def is_requested(self) -> bool:
        """True from the first signal on, and once the parent has ended, however it did."""
        return self.signal is not None or os.getppid() != self._parent


@contextmanager
def two_stage_shutdown(*, first_words: str, at_once: Callable[[], None] = lambda: None) -> Iterator[Shutdown]:
    """Handles SIGTERM and SIGINT inside the block; `first_words` tell a person what the first one has begun.

    Only for the main thread. The second signal calls `at_once` and ends the process with 128 + its number and no
    clean-up: use it where a kill -9 loses nothing.
    """
    shutdown = Shutdown()

    def handle(number: int, _frame: FrameType | None) -> None:
        if shutdown.is_requested:
            _say("Ended at once.", before=_VISIBLE_CURSOR)
            at_once()
            os._exit(128 + number)
        shutdown.signal = signal.Signals(number)
        _say(f"{first_words} Once more ends it at once.")

    with _handled(handle):
        yield shutdown


@contextmanager
def shutdown_by_parent(parent: int) -> Iterator[Shutdown]:
    """For a process that another one supervises, whose id `parent` is: it ends when told to, or when that one is gone.

    However many signals come, they ask for the one orderly end: a service manager signals every process of a group, a
    supervisor its own, and the one who wants it at once is the supervisor, by a kill -9. Only for the main thread.
    """
    shutdown = _ParentsWish(parent)

    def handle(number: int, _frame: FrameType | None) -> None:
        shutdown.signal = signal.Signals(number)

    with _handled(handle):
        yield shutdown


@contextmanager
def _handled(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    former = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _say(text: str, *, before: str = "") -> None:
    """Safe between any two instructions, and beside a progress bar, which stands on the line and hides the cursor."""
    start = f"\n{before}" if sys.stderr.isatty() else ""
    os.write(sys.stderr.fileno(), f"{start}{text}\n".encode())

"""Two-stage shutdown of a worker: the first signal asks it to finish its work, the second ends it at once."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


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


@contextmanager
def two_stage_shutdown(*, first_words: str) -> Iterator[Shutdown]:
    """Handles SIGTERM and SIGINT inside the block; `first_words` tell a person what the first one has begun.

    Only for the main thread. The second signal ends the process with 128 + its number and no clean-up: use it where a
    kill -9 loses nothing.
    """
    shutdown = Shutdown()

    def handle(number: int, _frame: FrameType | None) -> None:
        if shutdown.is_requested:
            os.write(sys.stderr.fileno(), b"Ended at once.\n")
            os._exit(128 + number)
        shutdown.signal = signal.Signals(number)
        os.write(sys.stderr.fileno(), f"{first_words} Once more ends it at once.\n".encode())

    former = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield shutdown
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)

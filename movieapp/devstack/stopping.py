"""Ctrl-C and SIGTERM: the first asks for an orderly stop, the second kills."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from movieapp.devstack.errors import StopRequested

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KILLED = 130  # what a shell expects of a command ended by Ctrl-C


class StopSignals:
    """Set once somebody wants us to stop. `kill_everything` runs, and the process ends, at the second signal."""

    def __init__(self) -> None:
        self.kill_everything: Callable[[], None] = lambda: None
        self._wanted = threading.Event()
        self._by_signal = False

    def install(self) -> None:
        """Takes the signals over; to be called in the main thread, before anything is started."""
        for signum in _SIGNALS:
            signal.signal(signum, self._on_signal)

    @property
    def by_signal(self) -> bool:
        """Whether a person or the system asked, rather than a failure of ours."""
        return self._by_signal

    def request(self) -> None:
        """Makes every wait in other threads give up."""
        self._wanted.set()

    def check(self) -> None:
        """Raises StopRequested once a stop is wanted."""
        if self._wanted.is_set():
            raise StopRequested("stopped")

    def wait(self, seconds: float) -> bool:
        """True as soon as a stop is wanted, False after so many seconds."""
        return self._wanted.wait(seconds)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        # Only what is safe between any two instructions: no lock of the console, no ordinary print.
        if not self._by_signal:
            self._by_signal = True
            self._wanted.set()
            _write(b"\nStopping: web, gRPC, workers, Kafka, Postgres (Ctrl-C again kills them)\n")
            return
        _write(b"\nKilling everything\n")
        self.kill_everything()
        os._exit(KILLED)


def _write(text: bytes) -> None:
    try:
        os.write(2, text)
    except OSError:
        return  # the terminal is gone; stopping goes on

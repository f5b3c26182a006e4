"""Turns of a registrar or of known instances, one after the other in a thread of their own."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_AFTER_A_FAULT = 1.0


class Background:
    """Calls `turn` until `stop`, pausing for the seconds that it returns; the thread ends with the process, too.

    A turn that raises is logged with its traceback and does not end the others.
    """

    def __init__(self, turn: Callable[[], float], *, name: str) -> None:
        self._turn = turn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins with the first turn."""
        self._thread.start()

    def stop(self, *, patience: float = 0.0) -> None:
        """No turn begins any more; waits up to `patience` seconds for the one under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                pause = self._turn()
            except Exception:
                log.exception("turn_failed", thread=self._thread.name)
                pause = _AFTER_A_FAULT

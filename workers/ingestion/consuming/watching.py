"""Where a group stands, looked at beside the work, so that a database that is away holds nothing up."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from workers.backoff import Backoff
from workers.clock import SystemClock
from workers.ingestion.consuming.store import IngestionStore
from workers.ingestion.errors import StoreUnavailable

log = structlog.get_logger(__name__)

_LOOK_EVERY = 0.2


class PositionWatch:
    """The positions of a group as they were a moment ago; call it for them."""

    def __init__(self, store: IngestionStore) -> None:
        self._store = store
        self._over = threading.Event()
        self._found: Mapping[int, int] | None = None
        self._error: Exception | None = None
        # A daemon: a look at a database that hangs must not keep the process.
        self._thread = threading.Thread(target=self._look, name="positions", daemon=True)
        self._thread.start()

    def __call__(self) -> Mapping[int, int] | None:
        """The next offset of each partition; None while the store is away. Raises what else the store has raised."""
        if self._error is not None:
            raise self._error
        return self._found

    def close(self) -> None:
        """No more looks begin."""
        self._over.set()

    def _look(self) -> None:
        backoff = Backoff(first=_LOOK_EVERY, most=5.0, clock=SystemClock())
        pause = 0.0
        while not self._over.wait(pause):
            try:
                self._found = self._store.positions()
            except StoreUnavailable as error:
                self._found = None
                pause = backoff.begin()
                log.warning("store_unavailable", reason=str(error), next_attempt_in_seconds=round(pause, 2))
            except Exception as error:  # it belongs to whoever asks, not to this thread
                self._error = error
                break
            else:
                backoff.reset()
                pause = _LOOK_EVERY
        self._store.close()


@contextmanager
def watched_positions(store: IngestionStore) -> Iterator[PositionWatch]:
    """A PositionWatch for the block; the store is closed after it."""
    watch = PositionWatch(store)
    try:
        yield watch
    finally:
        watch.close()

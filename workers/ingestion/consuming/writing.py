"""One batch at a time on its way into the store, in a thread of its own, and whether the store answers."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import structlog

from workers.ingestion.consuming.backoff import Backoff
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.clock import Clock
from workers.ingestion.consuming.store import IngestionStore
from workers.ingestion.errors import StoreUnavailable

log = structlog.get_logger(__name__)

_ANSWER_SECONDS = 10.0

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Tally:
    """What this process has done since its start; `write_seconds` is the last batch's."""

    applied: int = 0
    dead_lettered: int = 0
    batches: int = 0
    last_batch: int = 0
    write_seconds: float = 0.0

    def count(self, batch: Batch, *, seconds: float) -> None:
        """Adds a batch that was written in `seconds`."""
        self.applied += sum(len(part.events) for part in batch)
        self.dead_lettered += sum(len(part.letters) for part in batch)
        self.batches += 1
        self.last_batch = batch.messages
        self.write_seconds = seconds


class BatchWriter:
    """Asks the store everything, in order, in one thread; for the use of the consume loop's thread only.

    A batch is in flight from `submit` on until it is known to be written, so also while it waits for the store to
    come back.
    """

    def __init__(self, *, store: IngestionStore, clock: Clock, executor: Executor | None = None) -> None:
        self.tally = Tally()
        self.waiting_for: str | None = None
        """Why nothing is written at the moment, for people; None while all is well."""
        self._store = store
        self._clock = clock
        self._executor = executor or ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._backoff = Backoff(first=0.1, most=5.0, clock=clock)
        self._in_flight: Batch | None = None
        self._writing: Future[float] | None = None

    @property
    def in_flight(self) -> Batch | None:
        """The batch that was submitted and is not known to be written."""
        return self._in_flight

    @property
    def is_writing(self) -> bool:
        """True while the store has the batch in hand; `settle` ends it."""
        return self._writing is not None

    @property
    def may_try(self) -> bool:
        """False while the store is given time to come back."""
        return self._backoff.is_over()

    def submit(self, batch: Batch) -> None:
        """Begins to write the batch, instead of the one in flight if there is one. Not while `is_writing`."""
        if not batch:
            self._in_flight = None
            return
        self._in_flight = batch
        self._writing = self._executor.submit(self._timed_apply, batch)

    def wait(self, seconds: float) -> bool:
        """Waits for the end of the write, at most that long; True when it has ended."""
        if self._writing is not None:
            try:
                self._writing.exception(timeout=seconds)
            except TimeoutError:
                return False
        return True

    def settle(self) -> Batch | None:
        """The batch in flight, once, when it was written; None as long as nothing is known. Raises Fenced."""
        if self._writing is None or not self._writing.done():
            return None
        write, self._writing = self._writing, None
        try:
            seconds = write.result()
        except StoreUnavailable as error:
            self.is_away(error)
            return None
        written, self._in_flight = self._in_flight, None
        assert written is not None
        self.tally.count(written, seconds=seconds)
        self.is_here()
        return written

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The store's answer, after the write in hand. Raises StoreUnavailable when there is none within 10 s."""
        asked = self._executor.submit(question)
        try:
            return asked.result(timeout=_ANSWER_SECONDS)
        except TimeoutError:
            asked.cancel()  # a take-over that waits in line must not happen when nobody wants it any more
            raise StoreUnavailable(f"no answer within {_ANSWER_SECONDS:g} s") from None

    def is_here(self) -> None:
        """Takes note of an answer of the store; while a batch waits in flight, only its being written counts."""
        if self._in_flight is not None:
            return
        if self.waiting_for is not None:
            log.info("store_is_back", after_attempts=self._backoff.attempts)
        self.waiting_for = None
        self._backoff.reset()

    def is_away(self, error: StoreUnavailable) -> None:
        """Gives the store time, more with every time in a row."""
        delay = self._backoff.begin()
        self.waiting_for = str(error)
        log.warning("store_unavailable", reason=str(error), next_attempt_in_seconds=round(delay, 2))

    def close(self) -> None:
        """Waits for the write in hand and lets go of the store."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def _timed_apply(self, batch: Batch) -> float:
        began = self._clock.seconds()
        self._store.apply(batch)
        return self._clock.seconds() - began

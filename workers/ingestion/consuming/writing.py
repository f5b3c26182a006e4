"""The way of batches into the store: one is prepared while the one before it is written, each in its own thread."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from workers.backoff import Backoff
from workers.clock import Clock
from workers.ingestion.consuming.batch import Batch, Claim
from workers.ingestion.consuming.breaker import Allowance, DeadLetterBreaker
from workers.ingestion.consuming.doubting import Doubt
from workers.ingestion.consuming.silence import SilenceWatch
from workers.ingestion.consuming.stopping import Stopping
from workers.ingestion.consuming.store import Applied, IngestionStore, Prepared
from workers.ingestion.consuming.tally import Tally
from workers.ingestion.consuming.threads import Threads, new_threads
from workers.ingestion.errors import StoreUnavailable
from workers.kafka.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

_ANSWER_SECONDS = 10.0
_LAST_ANSWERS_SECONDS = 1.0
_ANSWER_LOOK = 0.2
_CLOSE_SECONDS = 5.0
_CHECK_EVERY = 3.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: Batch
    prepared: Future[Prepared]


class BatchWriter:
    """Takes two batches at most, one in flight and one waiting; for the use of the consume loop's thread only.

    A batch is in flight from `begin` on until it is known to be written, so also while it waits for the store to
    come back. What the store is asked besides is asked between two writes.
    """

    def __init__(
        self,
        *,
        store: IngestionStore,
        check: Callable[[], None],
        clock: Clock,
        breaker: DeadLetterBreaker,
        threads: Threads | None = None,
        repeats: bool = True,
        stopping: Stopping | None = None,
    ) -> None:
        """`check` is called for each batch after it was fetched and before it is written: what it raises prevents that.

        Without `repeats` a write that failed, or whose outcome is not known, is not done again but passed over, and
        what is `waiting` is begun only once `doubt` allows it; the caller sees to that.
        """
        self.tally = Tally()
        self.waiting_for: str | None = None
        """Why nothing is written at the moment, for people; None while all is well."""
        self.lacks_kafka = False
        """True while it is Kafka that is waited for: what is fetched is written once it tells that its topic stands."""
        self._store = store
        self._silence = SilenceWatch(store.silent_for)
        self._check = check
        self._clock = clock
        self._breaker = breaker
        self._threads = threads or new_threads()
        self.doubt = Doubt(store=store, executor=self._threads.writing)
        self._repeats = repeats
        self._stopping = stopping or Stopping(clock)
        self._backoff = Backoff(first=0.1, most=5.0, clock=clock)
        self._waiting: _Waiting | None = None
        self._checking: Future[None] | None = None
        self._checked_at = clock.seconds()
        self._in_flight: Batch | None = None
        self._writing: Future[tuple[Applied, float]] | None = None
        self._passed = 0

    @property
    def aside(self) -> Executor:
        """For what is neither written nor asked of the store, and may wait while a batch is prepared."""
        return self._threads.preparing

    @property
    def in_flight(self) -> Batch | None:
        """The batch that was begun and is not known to be written."""
        return self._in_flight

    @property
    def waiting(self) -> Batch | None:
        """The batch that is written next."""
        return None if self._waiting is None else self._waiting.batch

    def settled(self, claims: Mapping[int, Claim]) -> dict[int, int]:
        """The offset of each claimed partition before which everything is known to be written, or passed over."""
        found = {partition: claim.next_offset for partition, claim in claims.items()}
        for batch in (self.waiting, self._in_flight):  # the older one has the last word
            if batch is not None:
                found |= {part.partition: part.start for part in batch.only(claims)}
        return found

    @property
    def lost(self) -> int:
        """How many messages are passed over for good, if they are not written yet: none where writes are repeated."""
        return 0 if self._repeats or self._in_flight is None else self._in_flight.messages + self._passed

    @property
    def is_empty(self) -> bool:
        """True when all that was handed over is written."""
        return self._in_flight is None and self._waiting is None

    @property
    def is_writing(self) -> bool:
        """True while the store has a batch in hand, be it to try it out; `settle` ends it."""
        return self._writing is not None or self.doubt.trial is not None

    @property
    def left(self) -> int:
        """How many messages were handed over and are not known to be written."""
        return sum(batch.messages for batch in (self.waiting, self._in_flight) if batch is not None) + self._passed

    @property
    def may_try(self) -> bool:
        """False while the store is given time to come back."""
        return self._backoff.is_over()

    def hand_over(self, batch: Batch) -> None:
        """Begins to prepare the batch, which is written next. Not while another one is `waiting`."""
        self._waiting = _Waiting(batch, self._threads.preparing.submit(self._prepare, batch))

    def is_prepared(self, seconds: float) -> bool:
        """Waits for what is `waiting` to be ready, at most that long; prepares it once more where that has failed."""
        assert self._waiting is not None
        try:
            self._waiting.prepared.result(timeout=seconds)
        except TimeoutError:
            return False
        except (StoreUnavailable, BrokerUnavailable) as error:
            self.is_away(error)
            self.hand_over(self._waiting.batch)
            return False
        return True

    def weigh(self, batch: Batch) -> Allowance:
        """How many dead letters the batch may bring. Raises TooManyDeadLetters when it has more already."""
        allowance = self._breaker.allowance(batch.messages)
        allowance.check(batch)
        return allowance

    def begin(self, batch: Batch) -> None:
        """Begins to write what is `waiting`, or `batch`, what is left of it. Not while one is in flight.

        Raises TooManyDeadLetters, and begins nothing.
        """
        assert self._waiting is not None
        allowance = self.weigh(batch)
        waiting, self._waiting = self._waiting, None
        if batch is waiting.batch:
            self._in_flight = batch
            self._writing = self._threads.writing.submit(self._write, waiting.prepared.result, allowance)
        else:
            waiting.prepared.cancel()
            self.submit(batch)

    def submit(self, batch: Batch) -> None:
        """Begins to write the batch, instead of the one in flight if there is one. Not while `is_writing`.

        Raises TooManyDeadLetters, and begins nothing.
        """
        if not batch:
            self._in_flight, self._passed = None, 0
            return
        allowance = self.weigh(batch)
        self._in_flight = batch
        self._writing = self._threads.writing.submit(self._write, lambda: self._prepare(batch), allowance)

    def repeat(self, claims: Mapping[int, Claim]) -> None:
        """Writes the batch in flight once more, as far as it is claimed, if the store had its time."""
        if self._in_flight is not None and self.may_try:
            self.submit(self._in_flight.only(claims))

    def wait(self, seconds: float) -> bool:
        """Waits for the end of the write, at most that long; True when it has ended."""
        outcome = self._writing or self.doubt.trial
        if outcome is not None:
            try:
                outcome.exception(timeout=seconds)
            except TimeoutError:
                return False
        return True

    def settle(self) -> Batch | None:
        """The batch in flight, once, when it was written; None as long as nothing is known.

        Raises Fenced, or TooManyDeadLetters.
        """
        self.waiting_for = self._silence.look() or self.waiting_for
        try:
            self.doubt.settle()
        except StoreUnavailable as error:
            self.is_away(error)
        if self._writing is None or not self._writing.done():
            return None
        write, self._writing = self._writing, None
        assert self._in_flight is not None
        try:
            applied, seconds = write.result()
        except (StoreUnavailable, BrokerUnavailable) as error:
            if not self._repeats:
                self.doubt.is_there = True
                self._passed += self._in_flight.messages
                self._in_flight = self._in_flight.passing(self._in_flight.partitions)
            self.is_away(error)
            return None
        written, self._in_flight, self._passed = self._in_flight, None, 0
        self.tally.count(written, applied, seconds=seconds)
        self._breaker.count(messages=written.messages, letters=written.letters + applied.refused)
        if applied.skipped:
            log.warning("skipped", offsets=applied.skipped)
        self.doubt.written(written)
        self.is_here()
        return written

    def check_now_and_then(self) -> None:
        """Calls `check` every few seconds, in a thread, and raises what it has raised but for BrokerUnavailable."""
        if self._checking is not None and self._checking.done():
            checking, self._checking = self._checking, None
            with suppress(BrokerUnavailable):
                checking.result()
        if self._checking is None and self._clock.seconds() - self._checked_at >= _CHECK_EVERY:
            self._checked_at = self._clock.seconds()
            self._checking = self._threads.preparing.submit(self._check)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The store's answer, after the write in hand.

        Raises StoreUnavailable when there is none within 10 s, or within 1 s once the process is asked to end.
        """
        asked = self.ask_later(question)
        began, waited = self._clock.seconds(), 0.0
        while waited < (_LAST_ANSWERS_SECONDS if self._stopping.look() else _ANSWER_SECONDS):
            with suppress(TimeoutError):
                return asked.result(timeout=_ANSWER_LOOK)
            waited = self._clock.seconds() - began
        asked.cancel()  # it may wait in line still: a take-over must not happen when nobody wants it any more
        raise StoreUnavailable(f"no answer within {waited:.0f} s")

    def ask_later(self, question: Callable[[], Answer]) -> Future[Answer]:
        """The store's answer some time after the write in hand; whatever is asked or written next waits for it."""
        return self._threads.writing.submit(question)

    def is_here(self) -> None:
        """Takes note of an answer of the store; after a write that failed, only one that succeeds counts."""
        if self._in_flight is not None:
            return
        if self.doubt.is_there:
            if self._waiting is None:
                self.waiting_for = None  # as far as anybody knows
            return
        if self._backoff.attempts or self.waiting_for is not None:
            log.info("store_is_back", after_attempts=self._backoff.attempts)
        self.waiting_for, self.lacks_kafka = None, False
        self._backoff.reset()

    def is_away(self, error: StoreUnavailable | BrokerUnavailable) -> None:
        """Gives the store time, more with every time in a row."""
        self.doubt.failed()
        delay = self._backoff.begin()
        self.waiting_for, self.lacks_kafka = str(error), isinstance(error, BrokerUnavailable)
        log.warning("store_unavailable", reason=str(error), next_attempt_in_seconds=round(delay, 2))

    def close(self) -> None:
        """Waits for the write in hand, 5 s at most, and lets go of the store."""
        self._store.end_within(_CLOSE_SECONDS)
        for threads in (self._threads.preparing, self._threads.writing):
            threads.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def _prepare(self, batch: Batch) -> Prepared:
        self._check()
        return self._store.prepare(batch)

    def _write(self, prepared: Callable[[], Prepared], allowance: Allowance) -> tuple[Applied, float]:
        ready = prepared()
        began = self._clock.seconds()
        applied = self._store.apply(ready, allowance=allowance)
        return applied, self._clock.seconds() - began

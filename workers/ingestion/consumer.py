"""The consume loop: from Kafka into the store, each message exactly once, whatever restarts in between.

The loop fetches and decodes in the caller's thread while the previous batch is written in another. Positions live in
the store and move in the transaction that writes the batch. The store's epoch decides who owns a partition; Kafka's
group protocol only proposes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

import structlog

from workers.ingestion.backoff import Backoff, RateLimit
from workers.ingestion.batch import Batch, Claim
from workers.ingestion.errors import Fenced, StoreUnavailable, TakenOverRepeatedly
from workers.ingestion.store import IngestionStore
from workers.kafka.consumer import AT_END, GroupConsumer, Start
from workers.kafka.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

_FETCH_MOST = 1_000
_FETCH_TIMEOUT = 0.05
_ANSWER_SECONDS = 10.0
_RETAKES_PER_MINUTE = 5

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is written: at this many messages or bytes, or when its first message is this many seconds old."""

    messages: int = 20_000
    bytes: int = 16_777_216
    seconds: float = 0.2


@dataclass(slots=True)
class Tally:
    """What this process has done since its start; `write_seconds` is the last batch's."""

    applied: int = 0
    dead_lettered: int = 0
    batches: int = 0
    last_batch: int = 0
    write_seconds: float = 0.0


class RatingConsumer:
    """One member of a group. `run` returns when `finished()` is true and everything fetched has been written."""

    def __init__(
        self,
        *,
        source: GroupConsumer,
        store: IngestionStore,
        limits: BatchLimits | None = None,
        flush_seconds: float = 10.0,
        on_tick: Callable[["RatingConsumer"], None] = lambda _: None,
    ) -> None:
        self.tally = Tally()
        self.waiting_for: str | None = None
        """Why nothing is written at the moment, for people; None while all is well."""
        self._source = source
        self._store = store
        self._limits = limits or BatchLimits()
        self._flush_seconds = flush_seconds
        self._on_tick = on_tick
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._claims: dict[int, Claim] = {}
        self._unclaimed: set[int] = set()
        self._building = Batch()
        self._began = 0.0
        self._in_flight: Batch | None = None
        self._writing: Future[float] | None = None
        self._held = False
        self._closing = False
        self._store_backoff = Backoff(first=0.1, most=5.0)
        self._retake_backoff = Backoff(first=0.1, most=5.0)
        self._retakes = RateLimit(most=_RETAKES_PER_MINUTE, seconds=60.0)

    def run(self, finished: Callable[[], bool]) -> None:
        """Consumes until `finished()`; what was fetched by then is written before the partitions are given back.

        The database being away is waited out. Raises OffsetNotAvailable, TopicNotFound, TakenOverRepeatedly or
        StoreNotReady for what waiting does not mend; nothing is written then that is not written whole.
        """
        try:
            self._source.join(self)
            while not finished():
                self._settle()
                self._retake()
                self._submit_if_due()
                self._fetch()
                self._on_tick(self)
            self._flush()
        finally:
            self._closing = True
            self._source.close()
            self._writer.shutdown(wait=True, cancel_futures=True)
            self._store.close()

    def positions(self) -> Mapping[int, int] | None:
        """The group's positions in the store, this process's and others'; None while the store is busy or away."""
        if self._writing is not None or not self._store_backoff.is_over():
            return None
        try:
            positions = self._ask_store(self._store.positions)
        except StoreUnavailable as error:
            self._store_is_away(error)
            return None
        if self._in_flight is None:
            self._store_is_here()
        return positions

    @property
    def owned(self) -> Mapping[int, int]:
        """The partitions that this process owns, and the next offset of each that it has not yet put into a batch."""
        return {partition: claim.next_offset for partition, claim in self._claims.items()}

    # --- Fetching -----------------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        if not self._is_full():
            self._release()
        elif self._writing is None and self._in_flight is None:
            return
        elif self._writing is not None and wait([self._writing], timeout=0.5).done:
            return
        else:
            self._hold()
        fetched = self._source.fetch(most=_FETCH_MOST, timeout=_FETCH_TIMEOUT)
        was_empty = not self._building
        self._building.add(fetched.messages, self._claims, now=time.time_ns() // 1000)
        self._building.pass_end(fetched.ends, self._claims)
        if was_empty:
            self._began = time.monotonic()

    def _is_full(self) -> bool:
        return self._building.messages >= self._limits.messages or self._building.bytes >= self._limits.bytes

    def _hold(self) -> None:
        """Stops delivery while the store is behind; fetching goes on, as the group protocol lives from it."""
        if not self._held:
            self._held = True
            self._source.pause(self._claims)

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._source.resume(self._claims)

    # --- Writing ------------------------------------------------------------------------------------------------------

    def _submit_if_due(self) -> None:
        if self._writing is not None:
            return
        if self._in_flight is not None:
            if self._store_backoff.is_over():
                self._submit(self._in_flight.only(self._claims))
        elif self._building and (self._is_full() or time.monotonic() - self._began >= self._limits.seconds):
            self._submit_building()

    def _submit_building(self) -> None:
        batch, self._building = self._building, Batch()
        for part in batch:
            claim = self._claims[part.partition]
            claim.next_offset, claim.latest_time, claim.leader_epoch = part.end, part.latest_time, part.leader_epoch
        self._submit(batch)

    def _submit(self, batch: Batch) -> None:
        if not batch:
            self._in_flight = None
            return
        self._in_flight = batch
        self._writing = self._writer.submit(self._timed_apply, batch)

    def _timed_apply(self, batch: Batch) -> float:
        began = time.monotonic()
        self._store.apply(batch)
        return time.monotonic() - began

    def _settle(self) -> None:
        """Takes note of what became of the batch in flight, if that is known."""
        if self._writing is None or not self._writing.done():
            return
        written, self._writing = self._writing, None
        try:
            seconds = written.result()
        except StoreUnavailable as error:
            self._store_is_away(error)
        except Fenced as fenced:
            self._fenced(fenced)
        else:
            self._applied(seconds)

    def _applied(self, seconds: float) -> None:
        batch, self._in_flight = self._in_flight, None
        assert batch is not None
        self.tally.applied += sum(len(part.events) for part in batch)
        self.tally.dead_lettered += sum(len(part.letters) for part in batch)
        self.tally.batches += 1
        self.tally.last_batch = batch.messages
        self.tally.write_seconds = seconds
        self._source.commit({part.partition: part.end for part in batch if part.partition in self._claims})
        self._store_is_here()

    def _store_is_here(self) -> None:
        if self.waiting_for is not None:
            log.info("store_is_back", after_attempts=self._store_backoff.attempts)
        self.waiting_for = None
        self._store_backoff.reset()

    def _store_is_away(self, error: StoreUnavailable) -> None:
        delay = self._store_backoff.begin()
        self.waiting_for = str(error)
        log.warning("store_unavailable", reason=str(error), next_attempt_in_seconds=round(delay, 2))

    def _flush(self) -> None:
        """Writes what was fetched, within `flush_seconds`; what is left then is fetched again by the next owner."""
        deadline = time.monotonic() + self._flush_seconds
        while (self._in_flight is not None or self._building) and time.monotonic() < deadline:
            if self._writing is not None:
                wait([self._writing], timeout=deadline - time.monotonic())
            elif self._in_flight is None:
                self._submit_building()
            elif self._store_backoff.is_over():
                self._submit(self._in_flight.only(self._claims))
            else:
                time.sleep(0.01)
            self._settle()
        if self._in_flight is not None or self._building:
            log.warning("left_unwritten", messages=self._building.messages, reason=self.waiting_for or "out of time")

    # --- Ownership ----------------------------------------------------------------------------------------------------

    def partitions_assigned(self, partitions: Sequence[int]) -> Mapping[int, Start]:
        """Takes the partitions over in the store; those that it cannot take now start paused, and the loop goes on."""
        try:
            claims = self._take(partitions)
        except Exception as error:  # whatever it is, a callback must not raise: the loop meets it again in `_retake`
            log.warning("take_over_failed", partitions=sorted(partitions), reason=str(error))
            claims = {}
        self._claims |= claims
        self._unclaimed |= set(partitions) - claims.keys()
        log.info("partitions_assigned", partitions=sorted(partitions), not_yet_taken=sorted(self._unclaimed))
        return {
            partition: self._start(claims[partition], paused=self._held)
            if partition in claims
            else Start(offset=AT_END, paused=True)
            for partition in partitions
        }

    def partitions_revoked(self, partitions: Sequence[int]) -> None:
        """Writes what was fetched of these partitions, then lets go of them."""
        if not self._closing and not self._claims.keys().isdisjoint(partitions):
            try:
                self._flush()
            except Exception as error:  # the write is repeated, or refused, once the callback is over
                log.warning("flush_failed", reason=str(error))
        self._let_go(partitions)
        log.info("partitions_revoked", partitions=sorted(partitions))

    def partitions_lost(self, partitions: Sequence[int]) -> None:
        """Drops what was fetched of these partitions: they have another owner."""
        self._let_go(partitions)
        log.warning("partitions_lost", partitions=sorted(partitions))

    def _let_go(self, partitions: Sequence[int]) -> None:
        # A batch in flight keeps its slices: if it is refused, `only` leaves these partitions out of the repeat.
        for partition in partitions:
            self._claims.pop(partition, None)
            self._unclaimed.discard(partition)
        self._building = self._building.without(set(partitions))

    def _take(self, partitions: Sequence[int]) -> dict[int, Claim]:
        return self._ask_store(lambda: self._store.take(partitions, first_offset=self._source.first_offset))

    def _ask_store(self, question: Callable[[], Answer]) -> Answer:
        try:
            return self._writer.submit(question).result(timeout=_ANSWER_SECONDS)
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {_ANSWER_SECONDS:g} s") from None

    def _fenced(self, fenced: Fenced) -> None:
        """Another owner: its partitions leave the batch, the others are written again without them."""
        assert self._in_flight is not None
        self._in_flight = self._in_flight.without(fenced.partitions)
        mine = fenced.partitions & self._claims.keys()
        self._let_go(sorted(mine))
        self._unclaimed |= mine
        self._source.pause(mine)
        log.warning("fenced", partitions=sorted(fenced.partitions), still_assigned=sorted(mine))
        self._submit(self._in_flight.only(self._claims))

    def _retake(self) -> None:
        """Takes over what is assigned but not owned: after a failed take-over, or when somebody else took it."""
        if not self._unclaimed or self._writing is not None or not self._retake_backoff.is_over():
            return
        if not self._retakes.allow():
            raise TakenOverRepeatedly(
                f"Partitions {sorted(self._unclaimed)} were taken from this consumer more than {_RETAKES_PER_MINUTE} "
                "times in a minute. Is another consumer of this group reading the topic through another cluster address?"
            )
        try:
            claims = self._take(sorted(self._unclaimed))
        except (StoreUnavailable, BrokerUnavailable) as error:
            self._retakes.forgive()
            self._retake_backoff.begin()
            self.waiting_for = str(error)
            log.warning("take_over_failed", partitions=sorted(self._unclaimed), reason=str(error))
            return
        self._claims |= claims
        self._unclaimed -= claims.keys()
        for partition, claim in claims.items():
            self._source.seek(partition, self._start(claim))
        if not self._held:
            self._source.resume(claims)
        self._retake_backoff.reset()
        if self._in_flight is None:
            self._store_is_here()
        log.info("partitions_taken", partitions=sorted(claims))

    @staticmethod
    def _start(claim: Claim, *, paused: bool = False) -> Start:
        return Start(offset=claim.next_offset, leader_epoch=claim.leader_epoch, paused=paused)


"""The consume loop: from Kafka into the store, each message as often as was promised, whatever restarts in between.

The loop fetches and decodes in the caller's thread while one batch is prepared and the one before it written, each in
a thread of its own. The store's epoch decides who owns a partition; Kafka's group protocol only proposes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog

from workers.clock import Clock, SystemClock
from workers.ingestion.consuming.batch import Batch, BatchLimits, Claim
from workers.ingestion.consuming.breaker import DeadLetterBreaker
from workers.ingestion.consuming.committing import CommitsFirst
from workers.ingestion.consuming.ownership import Ownership
from workers.ingestion.consuming.stalling import StallWatch
from workers.ingestion.consuming.stopping import Stopping
from workers.ingestion.consuming.store import IngestionStore
from workers.ingestion.consuming.tally import Tally
from workers.ingestion.consuming.threads import Threads
from workers.ingestion.consuming.writing import BatchWriter
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import Fenced
from workers.kafka.errors import LogUnreadable, OffsetNotAvailable
from workers.kafka.group import GroupConsumer, Start

log = structlog.get_logger(__name__)

_FETCH_MOST = 1_000
_FETCH_TIMEOUT = 0.05
# So many messages are enough for a writer with nothing to do: to prepare a full batch of new ids takes a second or two,
# in which nothing is written. Behind a writer that is at work batches grow to their full size.
_ENOUGH_FOR_IDLE = 5_000
# A full loop waits so long for the writer before it stops delivery, which drops what Kafka's client has fetched ahead.
_WRITE_WAIT = 2.0


class RatingConsumer:
    """One member of a group. `run` returns when `finished()` is true and everything fetched has been written."""

    def __init__(
        self,
        *,
        source: GroupConsumer,
        store: IngestionStore,
        delivery: Delivery = Delivery.EXACTLY_ONCE,
        limits: BatchLimits | None = None,
        breaker: DeadLetterBreaker | None = None,
        flush_seconds: float = 10.0,
        on_tick: Callable[["RatingConsumer"], None] = lambda _: None,
        clock: Clock | None = None,
        threads: Threads | None = None,
    ) -> None:
        """`delivery` must be the store's own."""
        self._source = source
        self._store = store
        self._limits = limits or BatchLimits()
        self._flush_seconds = flush_seconds
        self._on_tick = on_tick
        self._clock = clock or SystemClock()
        self._stopping = Stopping(self._clock)
        self._writer = BatchWriter(
            store=store,
            check=source.check_topic,
            clock=self._clock,
            breaker=breaker or DeadLetterBreaker(),
            threads=threads,
            repeats=delivery != Delivery.AT_MOST_ONCE,
            stopping=self._stopping,
        )
        self._ownership = Ownership(source=source, store=store, writer=self._writer, clock=self._clock)
        self._claims: Mapping[int, Claim] = self._ownership.claims
        self._stalls = StallWatch(ends=source.ends, executor=self._writer.aside, clock=self._clock)
        self._commits_first = self._first_commits() if delivery == Delivery.AT_MOST_ONCE else None
        self._building = Batch()
        self._began = 0.0
        self._held = False
        self._closing = False

    def run(self, finished: Callable[[], bool], *, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Consumes until `finished()`; what was fetched by then is written before the partitions are given back.

        An absent database is waited out. Once `is_stopping()` is true, which is asked while it is waited for, it gets
        the flush time in all. Raises KafkaError or IngestionError for what waiting does not mend, with nothing written
        that is not written whole.
        """
        self._stopping.wish = is_stopping
        try:
            self._wait_for_store(finished)
            self._source.join(self)
            try:
                while not finished():
                    self.turn()
            except (LogUnreadable, OffsetNotAvailable):
                self._flush()  # what comes before can be read, and would not be at the next start either
                raise
            self._flush()
        finally:
            self._closing = True
            self._source.close()
            self._writer.close()

    def _wait_for_store(self, finished: Callable[[], bool]) -> None:
        """Partitions of a consumer without a store would only be kept from others: it joins once the store answers."""
        while self.positions() is None and not finished():
            self._on_tick(self)
            self._clock.sleep(_FETCH_TIMEOUT)

    def turn(self) -> None:
        """One turn of the loop: a fraction of a second, unless the store or a rebalance takes longer."""
        if not self._writer.is_writing:
            self._ownership.retake(paused=self._held)
        self._write_if_due()
        self._fetch()
        self._writer.check_now_and_then()
        self._look_for_others()
        self._give_up(self._stalls.look(self._places))  # taken over anew, Kafka's client is told of it anew
        self._on_tick(self)
        self._settle()  # last: positions can be looked at while nothing is written, before the next turn

    def positions(self) -> Mapping[int, int] | None:
        """The group's positions in the store, this process's and others'; None while the store is busy or away."""
        return self._ownership.positions()

    @property
    def tally(self) -> Tally:
        """What this process has done so far."""
        return self._writer.tally

    @property
    def waiting_for(self) -> str | None:
        """Why nothing is written at the moment, for people; None while all is well."""
        return self._writer.waiting_for

    @property
    def owned(self) -> Mapping[int, int]:
        """The partitions that this process owns, and the next offset of each that it has not yet put into a batch."""
        return {partition: claim.next_offset for partition, claim in self._claims.items()}

    @property
    def settled(self) -> Mapping[int, int]:
        """The partitions that this process owns, and up to where each is known to be written."""
        return self._writer.settled(self._claims)

    # --- Fetching -----------------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        if not self._limits.are_reached(self._building):
            self._hold(False)
        elif self._writer.is_empty or (self._writer.is_writing and self._writer.wait(_WRITE_WAIT)):
            return
        else:
            self._hold(True)
        epochs = {partition: claim.epoch for partition, claim in self._claims.items()}
        fetched = self._source.fetch(most=_FETCH_MOST, timeout=_FETCH_TIMEOUT)
        # Revoked and given back meanwhile: messages from before would leave a gap to those that were dropped.
        self._give_up([part for part, claim in self._claims.items() if epochs.get(part, claim.epoch) != claim.epoch])
        self._stalls.fetched(brought := len(fetched.messages), all_there_was=not self._held and brought < _FETCH_MOST)
        was_empty = not self._building
        self._building.add(fetched.messages, self._claims, now=self._clock.microseconds())
        self._building.pass_end(fetched.ends, self._claims)
        if was_empty:
            self._began = self._clock.seconds()

    def _hold(self, held: bool) -> None:
        """Stops delivery while the store is behind; fetching goes on, as the group protocol lives from it."""
        if held != self._held:
            self._held = held
            (self._source.pause if held else self._source.resume)(self._claims)

    # --- Writing ------------------------------------------------------------------------------------------------------

    def _write_if_due(self) -> None:
        self._begin_write()
        is_enough = self._writer.is_empty and self._building.messages >= _ENOUGH_FOR_IDLE
        is_due = self._clock.seconds() - self._began >= self._limits.seconds
        if is_enough or is_due or self._limits.are_reached(self._building):
            self._hand_over()
            self._begin_write()

    def _hand_over(self) -> None:
        """The batch that is built goes to the writer, if that has a place for it."""
        if self._building and self._writer.waiting is None:
            batch, self._building = self._building, Batch()
            for part in batch:
                claim = self._claims[part.partition]
                claim.next_offset, claim.latest_time, claim.leader_epoch = part.end, part.latest_time, part.leader_epoch
            self._writer.hand_over(batch)

    def _begin_write(self) -> None:
        """Begins to write, or to repeat, what is next, if nothing is written at the moment."""
        if self._writer.is_writing:
            return
        if self._writer.in_flight is not None:
            with self._giving_back():
                self._writer.repeat(self._claims)
        elif self._writer.waiting is not None:
            batch: Batch | None = self._writer.waiting.only(self._claims)
            if batch and self._commits_first:
                batch = self._commits_first.committed(batch)
            if batch is not None:
                with self._giving_back():
                    self._writer.begin(batch)

    def _giving_back(self) -> AbstractContextManager[None]:
        return nullcontext() if self._commits_first is None else self._commits_first.giving_back()

    def _first_commits(self) -> CommitsFirst:
        return CommitsFirst(
            source=self._source,
            writer=self._writer,
            ownership=self._ownership,
            give_up=self._give_up,
            seconds=self._flush_seconds,
            stopping=self._stopping,
        )

    def _settle(self) -> None:
        """Takes note of what became of the batch in flight, if that is known."""
        with self._giving_back():
            try:
                written = self._writer.settle()
            except Fenced as fenced:
                self._fenced(fenced)
                return
        if written is not None:
            self._ownership.hold_on()
            if not self._commits_first:
                self._source.commit(written.only(self._claims).commits)

    def _flush(self, *, begins: bool = True) -> None:
        """Writes what was fetched, within `flush_seconds`; what is left then is fetched again by the next owner.

        Without `begins` only what is in flight.
        """
        deadline = self._stopping.deadline(self._flush_seconds)
        while self._is_owed(begins) and self._clock.seconds() < deadline:
            is_stopping, left = self._stopping.look(), deadline - self._clock.seconds()
            if self._commits_first and not self._commits_first.may_end_with(left):
                break
            if not self._commits_first and is_stopping and self._writer.lacks_kafka:
                break
            if begins:
                self._hand_over()
            self._begin_write()
            if self._writer.is_writing:
                self._writer.wait(min(_WRITE_WAIT, left))
            else:
                self._clock.sleep(0.01)
            self._settle()
        if self._is_owed(begins):
            messages, why = self._building.messages + self._writer.left, self.waiting_for or "out of time"
            log.warning("left_unwritten", messages=messages, lost_at_most=self._writer.lost, reason=why)

    def _is_owed(self, begins: bool) -> bool:
        return self._writer.in_flight is not None or (begins and (bool(self._building) or not self._writer.is_empty))

    # --- Ownership ----------------------------------------------------------------------------------------------------

    def partitions_assigned(self, partitions: Sequence[int]) -> Mapping[int, Start]:
        """Takes the partitions over in the store; those that it cannot take now start paused, and the loop goes on."""
        return self._ownership.assigned(partitions, paused=self._held)

    def partitions_revoked(self, partitions: Sequence[int]) -> None:
        """Writes what was fetched of these partitions, then lets go of them.

        What Kafka would have to be told of first is left to the next owner.
        """
        if not self._closing and not self._claims.keys().isdisjoint(partitions):
            try:
                self._flush(begins=self._commits_first is None)
            except Exception as error:  # the write is repeated, or refused, once the callback is over
                log.warning("flush_failed", reason=str(error))
        self._let_go(partitions)
        log.info("partitions_revoked", partitions=sorted(partitions))

    def partitions_lost(self, partitions: Sequence[int]) -> None:
        """Drops what was fetched of these partitions: they have another owner."""
        self._let_go(partitions)
        log.warning("partitions_lost", partitions=sorted(partitions))

    def _let_go(self, partitions: Collection[int]) -> None:
        # The writer's batches keep their slices: what is begun or repeated later is begun without these partitions.
        self._ownership.let_go(partitions)
        self._building = self._building.without(partitions)

    def _give_up(self, partitions: Collection[int]) -> None:
        """Lets go of partitions that stay assigned, to take them over again from where they then stand."""
        self._ownership.give_up(partitions)
        self._building = self._building.without(partitions)

    def _look_for_others(self) -> None:
        """With nothing to write no write is refused: the store is asked who owns the partitions."""
        taken = self._ownership.taken_by_others(may_ask=self._writer.is_empty and not self._building)
        if taken:
            self._give_up(taken)
            self._ownership.taken_away()
            log.warning("taken_away", partitions=taken)

    def _places(self) -> Mapping[int, tuple[int, int]]:
        coming = self._building.partitions
        return {part: (claim.epoch, claim.next_offset) for part, claim in self._claims.items() if part not in coming}

    def _fenced(self, fenced: Fenced) -> None:
        """Another owner: its partitions leave the batch, the others are written again without them."""
        refused = self._writer.in_flight
        assert refused is not None
        # A partition that came back to this consumer while the batch was in flight has a new epoch, which holds.
        current = refused.only(self._claims)
        mine = fenced.partitions & set(current.partitions)
        self._give_up(mine)
        if mine:
            self._ownership.taken_away()
        log.warning("fenced", partitions=sorted(fenced.partitions), still_assigned=sorted(mine))
        self._writer.submit(current.without(fenced.partitions))

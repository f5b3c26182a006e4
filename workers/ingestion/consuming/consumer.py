"""The consume loop: from Kafka into the store, each message exactly once, whatever restarts in between.

The loop fetches and decodes in the caller's thread while the previous batch is written in another. Positions live in
the store and move in the transaction that writes the batch. The store's epoch decides who owns a partition; Kafka's
group protocol only proposes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor

import structlog

from workers.ingestion.consuming.backoff import Backoff, RateLimit
from workers.ingestion.consuming.batch import Batch, BatchLimits, Claim
from workers.ingestion.consuming.clock import Clock, SystemClock
from workers.ingestion.consuming.store import IngestionStore
from workers.ingestion.consuming.writing import BatchWriter, Tally
from workers.ingestion.errors import Fenced, StoreUnavailable, TakenOverRepeatedly
from workers.kafka.errors import BrokerUnavailable, RequestRefused
from workers.kafka.group import AT_END, GroupConsumer, Start

log = structlog.get_logger(__name__)

_FETCH_MOST = 1_000
_FETCH_TIMEOUT = 0.05
_WRITE_WAIT = 0.5
_RETAKES_PER_MINUTE = 5


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
        clock: Clock | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._source = source
        self._store = store
        self._limits = limits or BatchLimits()
        self._flush_seconds = flush_seconds
        self._on_tick = on_tick
        self._clock = clock or SystemClock()
        self._writer = BatchWriter(store=store, clock=self._clock, executor=executor)
        self._claims: dict[int, Claim] = {}
        self._unclaimed: set[int] = set()
        self._taken_away = False
        self._building = Batch()
        self._began = 0.0
        self._held = False
        self._closing = False
        self._retake_backoff = Backoff(first=0.1, most=5.0, clock=self._clock)
        self._retakes = RateLimit(most=_RETAKES_PER_MINUTE, seconds=60.0, clock=self._clock)

    def run(self, finished: Callable[[], bool]) -> None:
        """Consumes until `finished()`; what was fetched by then is written before the partitions are given back.

        The database being away is waited out. Raises OffsetNotAvailable, TopicNotFound, TakenOverRepeatedly or
        StoreNotReady for what waiting does not mend; nothing is written then that is not written whole.
        """
        try:
            self._wait_for_store(finished)
            self._source.join(self)
            while not finished():
                self.turn()
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
        self._retake()
        self._submit_if_due()
        self._fetch()
        self._on_tick(self)
        self._settle()  # last: positions can be looked at while nothing is written, before the next turn

    def positions(self) -> Mapping[int, int] | None:
        """The group's positions in the store, this process's and others'; None while the store is busy or away."""
        if self._writer.is_writing or not self._writer.may_try:
            return None
        try:
            positions = self._writer.ask(self._store.positions)
        except StoreUnavailable as error:
            self._writer.is_away(error)
            return None
        self._writer.is_here()
        return positions

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

    # --- Fetching -----------------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        if not self._is_full():
            self._release()
        elif self._writer.in_flight is None or (self._writer.is_writing and self._writer.wait(_WRITE_WAIT)):
            return
        else:
            self._hold()
        epochs = {partition: claim.epoch for partition, claim in self._claims.items()}
        fetched = self._source.fetch(most=_FETCH_MOST, timeout=_FETCH_TIMEOUT)
        # Revoked and given back meanwhile: messages from before would leave a gap to those that were dropped.
        self._give_up([part for part, claim in self._claims.items() if epochs.get(part, claim.epoch) != claim.epoch])
        was_empty = not self._building
        self._building.add(fetched.messages, self._claims, now=self._clock.microseconds())
        self._building.pass_end(fetched.ends, self._claims)
        if was_empty:
            self._began = self._clock.seconds()

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
        if self._writer.is_writing:
            return
        if self._writer.in_flight is not None:
            if self._writer.may_try:
                self._writer.submit(self._writer.in_flight.only(self._claims))
        elif self._building and (self._is_full() or self._clock.seconds() - self._began >= self._limits.seconds):
            self._submit_building()

    def _submit_building(self) -> None:
        batch, self._building = self._building, Batch()
        for part in batch:
            claim = self._claims[part.partition]
            claim.next_offset, claim.latest_time, claim.leader_epoch = part.end, part.latest_time, part.leader_epoch
        self._writer.submit(batch)

    def _settle(self) -> None:
        """Takes note of what became of the batch in flight, if that is known."""
        try:
            written = self._writer.settle()
        except Fenced as fenced:
            self._fenced(fenced)
            return
        if written is not None:
            self._retake_backoff.reset()
            self._source.commit({part.partition: part.end for part in written if part.partition in self._claims})

    def _flush(self) -> None:
        """Writes what was fetched, within `flush_seconds`; what is left then is fetched again by the next owner."""
        deadline = self._clock.seconds() + self._flush_seconds
        while (self._writer.in_flight is not None or self._building) and self._clock.seconds() < deadline:
            if self._writer.is_writing:
                self._writer.wait(deadline - self._clock.seconds())
            elif self._writer.in_flight is None:
                self._submit_building()
            elif self._writer.may_try:
                self._writer.submit(self._writer.in_flight.only(self._claims))
            else:
                self._clock.sleep(0.01)
            self._settle()
        if self._writer.in_flight is not None or self._building:
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

    def _let_go(self, partitions: Collection[int]) -> None:
        # A batch in flight keeps its slices: if it is refused, `only` leaves these partitions out of the repeat.
        for partition in partitions:
            self._claims.pop(partition, None)
            self._unclaimed.discard(partition)
        self._building = self._building.without(partitions)

    def _give_up(self, partitions: Collection[int]) -> None:
        """Lets go of partitions that stay assigned, to take them over again from where they then stand."""
        if partitions:
            self._let_go(partitions)
            self._unclaimed |= set(partitions)
            self._source.pause(partitions)

    def _take(self, partitions: Sequence[int]) -> dict[int, Claim]:
        begun = self._writer.ask(self._store.positions)
        # Asked here and not by the store: during a rebalance Kafka's client answers no other thread.
        firsts = {partition: self._source.first_offset(partition) for partition in partitions if partition not in begun}
        return self._writer.ask(lambda: self._store.take(partitions, first_offset=firsts.__getitem__))

    def _fenced(self, fenced: Fenced) -> None:
        """Another owner: its partitions leave the batch, the others are written again without them."""
        refused = self._writer.in_flight
        assert refused is not None
        # A partition that came back to this consumer while the batch was in flight has a new epoch, which holds.
        current = refused.only(self._claims)
        mine = fenced.partitions & set(current.partitions)
        self._give_up(mine)
        if mine:
            self._taken_away = True
            self._retake_backoff.begin()
        log.warning("fenced", partitions=sorted(fenced.partitions), still_assigned=sorted(mine))
        self._writer.submit(current.without(fenced.partitions))

    def _retake(self) -> None:
        """Takes over what is assigned but not owned: after a failed take-over, or when somebody else took it."""
        if not self._unclaimed or self._writer.is_writing or not self._retake_backoff.is_over():
            return
        if self._taken_away and not self._retakes.allow():
            raise TakenOverRepeatedly(
                f"Partitions {sorted(self._unclaimed)} were taken from this consumer more than {_RETAKES_PER_MINUTE} "
                "times in a minute. Does another consumer of this group read the topic through another address?"
            )
        try:
            claims = self._take(sorted(self._unclaimed))
            for partition, claim in claims.items():
                self._source.seek(partition, self._start(claim))
        except (StoreUnavailable, BrokerUnavailable, RequestRefused) as error:
            if self._taken_away:
                self._retakes.forgive()
            self._retake_backoff.begin()
            self._writer.waiting_for = str(error)
            log.warning("take_over_failed", partitions=sorted(self._unclaimed), reason=str(error))
            return
        self._taken_away = False
        self._claims |= claims
        self._unclaimed -= claims.keys()
        if not self._held:
            self._source.resume(claims)
        self._writer.is_here()
        log.info("partitions_taken", partitions=sorted(claims))

    @staticmethod
    def _start(claim: Claim, *, paused: bool = False) -> Start:
        return Start(offset=claim.next_offset, leader_epoch=claim.leader_epoch, paused=paused)

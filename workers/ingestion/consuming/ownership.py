"""Which partitions a consumer owns: Kafka's group protocol proposes, the store's epoch decides."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from workers.backoff import Backoff, RateLimit
from workers.clock import Clock
from workers.ingestion.consuming.batch import Batch, Claim
from workers.ingestion.consuming.store import IngestionStore
from workers.ingestion.consuming.writing import BatchWriter
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import StoreNotReady, StoreUnavailable, TakenOverRepeatedly, TooManyDeadLetters
from workers.kafka.errors import BrokerUnavailable, RequestRefused
from workers.kafka.group import WAITING, GroupConsumer, Start

log = structlog.get_logger(__name__)

_RETAKES_PER_MINUTE = 5
_LOOK_EVERY = 1.0
_VOID_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class _Look:
    ours: Mapping[int, int]
    """The epochs of our claims when the store was asked for its own."""
    answer: Future[Mapping[int, int]]


class Ownership:
    """Takes partitions over in the store and tells Kafka's client where they begin; what it has taken is `claims`."""

    def __init__(self, *, source: GroupConsumer, store: IngestionStore, writer: BatchWriter, clock: Clock) -> None:
        self.claims: dict[int, Claim] = {}
        self._source = source
        self._store = store
        self._writer = writer
        self._clock = clock
        self._look: _Look | None = None
        self._looked_at = clock.seconds()
        self._unclaimed: set[int] = set()
        self._taken_away = False
        self._backoff = Backoff(first=0.1, most=5.0, clock=clock)
        self._retakes = RateLimit(most=_RETAKES_PER_MINUTE, seconds=60.0, clock=clock)

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

    def assigned(self, partitions: Sequence[int], *, paused: bool) -> Mapping[int, Start]:
        """Takes partitions that Kafka gives; those that cannot be taken now start paused. Never raises."""
        try:
            claims = self._take(partitions)
        except Exception as error:  # whatever it is, a callback must not raise: the loop meets it again in `retake`
            log.warning("take_over_failed", partitions=sorted(partitions), reason=str(error))
            claims = {}
        self.claims |= claims
        self._unclaimed |= set(partitions) - claims.keys()
        log.info("partitions_assigned", partitions=sorted(partitions), not_yet_taken=sorted(self._unclaimed))
        return {
            partition: _start(claims[partition], paused=paused) if partition in claims else WAITING
            for partition in partitions
        }

    def let_go(self, partitions: Collection[int]) -> None:
        """Of partitions that Kafka takes back."""
        for partition in partitions:
            self.claims.pop(partition, None)
            self._unclaimed.discard(partition)

    def give_up(self, partitions: Collection[int]) -> None:
        """Lets go of partitions that stay assigned, to take them over again from where they then stand."""
        if partitions:
            self.let_go(partitions)
            self._unclaimed |= set(partitions)
            self._source.pause(partitions)

    def void_commits(self, ending: StoreNotReady | TooManyDeadLetters, *, seconds: float) -> Collection[int]:
        """Lets whoever takes over what is written, or next, begin where the store has it, whatever Kafka was told.

        To raise the epochs is enough: what was committed under an older one does not count. Returns the partitions,
        which are to be given up. Tries for so many seconds, and raises the `ending` with what is lost then.
        """
        begun = (self._writer.in_flight or self._writer.waiting or Batch()).only(self.claims)
        starts = {part.partition: part.start for part in begun}
        deadline = self._clock.seconds() + seconds
        while starts:
            try:
                self._writer.ask(lambda: self._store.take(starts.keys(), first_offset=starts.__getitem__))
                break
            except (StoreNotReady, StoreUnavailable) as error:
                if isinstance(error, StoreNotReady) or self._clock.seconds() >= deadline:
                    raise _with_loss(ending, _lost(begun, error)) from error
                self._clock.sleep(_VOID_PAUSE)
        return starts.keys()

    def taken_away(self) -> None:
        """Somebody has taken a partition that Kafka has assigned to us: taking it again has its limits."""
        self._taken_away = True
        self._backoff.begin()

    def taken_by_others(self, *, may_ask: bool) -> list[int]:
        """Claims that are not ours any more by what the store has answered meanwhile; asks it, once a second at most.

        A write would be refused, which is how that is found out otherwise. A store that is away is waited for; raises
        what waiting does not mend.
        """
        taken = self._answered()
        now = self._clock.seconds()
        is_due = self._look is None and now - self._looked_at >= _LOOK_EVERY
        if may_ask and is_due and self.claims and self._writer.may_try:
            self._looked_at = now
            ours = {partition: claim.epoch for partition, claim in self.claims.items()}
            self._look = _Look(ours, self._writer.ask_later(self._store.epochs))
        return taken

    def hold_on(self) -> None:
        """After a write, or a look: whatever was taken away, we own something."""
        self._backoff.reset()

    def retake(self, *, paused: bool) -> None:
        """Takes over what is assigned but not owned: after a failed take-over, or when somebody else took it.

        Not while a batch is written. Raises TakenOverRepeatedly, and whatever waiting does not mend.
        """
        if not self._unclaimed or not self._backoff.is_over():
            return
        if self._taken_away and not self._retakes.allow():
            raise TakenOverRepeatedly(
                f"Partitions {sorted(self._unclaimed)} were taken from this consumer more than {_RETAKES_PER_MINUTE} "
                "times in a minute. Does another consumer of this group read the topic through another address, or was "
                "`manage.py move_offsets` run again and again?"
            )
        try:
            claims = self._take(sorted(self._unclaimed))
            for partition, claim in claims.items():
                self._source.seek(partition, _start(claim))
        except (StoreUnavailable, BrokerUnavailable, RequestRefused) as error:
            if self._taken_away:
                self._retakes.forgive()
            self._backoff.begin()
            self._writer.waiting_for = str(error)
            log.warning("take_over_failed", partitions=sorted(self._unclaimed), reason=str(error))
            return
        self._taken_away = False
        self.claims |= claims
        self._unclaimed -= claims.keys()
        if not paused:
            self._source.resume(claims)
        self._writer.is_here()
        log.info("partitions_taken", partitions=sorted(claims))

    def _answered(self) -> list[int]:
        if self._look is None or not self._look.answer.done():
            return []
        look, self._look = self._look, None
        try:
            standing = look.answer.result()
        except StoreUnavailable as error:
            self._writer.is_away(error)
            return []
        self._writer.is_here()
        gone = {partition for partition, epoch in look.ours.items() if standing.get(partition) != epoch}
        if not gone and not self._unclaimed:
            self.hold_on()
        # What was taken anew since the question has another epoch than it had.
        return sorted(part for part in gone if part in self.claims and self.claims[part].epoch == look.ours[part])

    def _take(self, partitions: Sequence[int]) -> dict[int, Claim]:
        begun = self._writer.ask(self._store.begun)
        # Asked here and not by the store: during a rebalance Kafka's client answers no other thread.
        firsts = {partition: self._source.first_offset(partition) for partition in partitions if partition not in begun}
        told = [part for part in partitions if begun.get(part, Delivery.EXACTLY_ONCE) != Delivery.EXACTLY_ONCE]
        committed = self._source.committed(told) if told else {}
        return self._writer.ask(
            lambda: self._store.take(partitions, first_offset=firsts.__getitem__, committed=committed)
        )


def _start(claim: Claim, *, paused: bool = False) -> Start:
    return Start(offset=claim.next_offset, leader_epoch=claim.leader_epoch, paused=paused)


def _lost(begun: Batch, error: StoreNotReady | StoreUnavailable) -> str:
    return (
        f"but Kafka was told of it before, as at-most-once does, and the database does not let us take that back "
        f"({error}): the next start passes over {begun.messages} messages of partitions {sorted(begun.partitions)} and "
        "counts them as skipped"
    )


def _with_loss(ending: StoreNotReady | TooManyDeadLetters, lost: str) -> StoreNotReady | TooManyDeadLetters:
    if isinstance(ending, TooManyDeadLetters):
        return TooManyDeadLetters(ending.found, left=lost)
    return StoreNotReady(f"{ending}. Stopped before the batch in hand was written: {lost}.")

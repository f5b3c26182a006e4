"""What a consumer tells about itself while it works: lines in the log, and how far it is until it has caught up."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from movieapp.progress import Meter, shown_progress
from workers.clock import Clock, SystemClock
from workers.ingestion.consuming.consumer import RatingConsumer
from workers.kafka.group import GroupConsumer

log = structlog.get_logger(__name__)

_LOOK_EVERY = 0.2
_REPORT_EVERY = 5.0
_IDLE_REPORT_EVERY = 60.0
_NOTHING_OWNED = "no partition is assigned to this process: the group is being rebalanced, or others have them all"


class ProgressLog:
    """Says every 5 s how fast the consumer is and how far behind, and once a minute while nothing changes.

    The lag is None where nobody knows it: without a partition, before Kafka has told where they all end, and while it
    does not answer. `quiet` is for when a bar on the terminal says it.
    """

    def __init__(self, source: GroupConsumer, *, quiet: bool = False, clock: Clock | None = None) -> None:
        self._source = source
        self._quiet = quiet
        self._clock = clock or SystemClock()
        self._looked_at = self._said_at = self._clock.seconds()
        self._passed = 0
        self._said: Mapping[str, Any] = {}

    def tick(self, consumer: RatingConsumer) -> None:
        """Called by the loop as often as it likes."""
        now = self._clock.seconds()
        if self._quiet or now - self._looked_at < _REPORT_EVERY:
            return
        tally = consumer.tally
        passed = tally.applied + tally.dead_lettered + tally.skipped
        rate = (passed - self._passed) / (now - self._looked_at)
        self._looked_at, self._passed = now, passed
        found = self._found(consumer, rate)
        if found != self._said or now - self._said_at >= _IDLE_REPORT_EVERY:
            self._said, self._said_at = found, now
            log.info("progress", **found)

    def last_words(self, consumer: RatingConsumer) -> None:
        """What this process has done in all."""
        tally = consumer.tally
        log.info(
            "consumer_stopped",
            applied=tally.applied,
            dead_lettered=tally.dead_lettered,
            skipped=tally.skipped,
            batches=tally.batches,
        )

    def _found(self, consumer: RatingConsumer, rate: float) -> dict[str, Any]:
        tally, settled = consumer.tally, consumer.settled
        kafka_is_away = self._source.waiting_for
        return {
            "events_per_second": round(rate),
            "lag": None if kafka_is_away else _lag(settled, self._source.known_ends(settled)),
            "partitions": len(settled),
            "batch": tally.last_batch,
            "write_milliseconds": round(tally.write_seconds * 1000),
            "dead_lettered": tally.dead_lettered,
            "skipped": tally.skipped,
            "waiting_for": consumer.waiting_for or kafka_is_away or (None if settled else _NOTHING_OWNED),
        }


def _lag(settled: Mapping[int, int], ends: Mapping[int, int]) -> int | None:
    if not settled or not settled.keys() <= ends.keys():
        return None
    return sum(max(0, ends[partition] - position) for partition, position in settled.items())


class CaughtUp:
    """True once the whole group, this process and others, has passed the ends that the topic had at the start.

    `positions` are the group's next offsets, None while nobody can tell.
    """

    def __init__(
        self,
        *,
        positions: Callable[[], Mapping[int, int] | None],
        ends: Mapping[int, int],
        meter: Meter,
        clock: Clock | None = None,
    ) -> None:
        self.reached = False
        self._positions = positions
        self._ends = {partition: end for partition, end in ends.items() if end > 0}
        self._meter = meter
        self._clock = clock or SystemClock()
        self._began_at: Mapping[int, int] | None = None
        self._look_at = 0.0

    def __call__(self) -> bool:
        """Looks, at most five times a second, and shows how far the group is."""
        now = self._clock.seconds()
        if not self.reached and now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            positions = self._positions()
            if positions is not None:
                self.reached = all(positions.get(partition, -1) >= end for partition, end in self._ends.items())
                self._show(positions)
        return self.reached

    def _show(self, positions: Mapping[int, int]) -> None:
        """Counts from where each partition stood when the group had begun them all."""
        begun = {part: min(positions[part], end) for part, end in self._ends.items() if part in positions}
        if begun.keys() != self._ends.keys():
            return
        if self._began_at is None:
            self._began_at = begun
        behind = sum(self._ends.values()) - sum(self._began_at.values())
        done = sum(begun.values()) - sum(self._began_at.values())
        self._meter.update(count=done, share=done / behind if behind else 1.0, lag=behind - done)


@contextmanager
def shown_catch_up(*, topic: str) -> Iterator[Meter]:
    """How far the group is: a bar where standard error is a terminal, lines in the log anywhere else."""
    if not sys.stderr.isatty():
        yield LoggedMeter()
        return
    with shown_progress(title=f"Consuming {topic}", unit="events", stream=sys.stderr) as meter:
        yield meter


class LoggedMeter:
    """A Meter whose news are a line `catching_up` in the log, every 5 s at most."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._said_at = self._clock.seconds()
        self._count = 0

    def update(
        self, *, count: int, share: float | None = None, title: str | None = None, lag: int | None = None
    ) -> None:
        """See Meter.update. The seconds that are left are reckoned by the rate since the last line."""
        now = self._clock.seconds()
        if now - self._said_at < _REPORT_EVERY:
            return
        rate = (count - self._count) / (now - self._said_at)
        self._said_at, self._count = now, count
        log.info(
            "catching_up",
            done=count,
            percent=None if share is None else round(share * 100, 1),
            lag=lag,
            events_per_second=round(rate),
            seconds_left=round(lag / rate) if lag is not None and rate else None,
        )

    def say(self, text: str) -> None:
        """See Meter.say."""
        log.info(text)

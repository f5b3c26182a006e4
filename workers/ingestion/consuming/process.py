"""Runs one rating consumer as a process does: signals, the end that it waits for, and what it tells people."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from movieapp.progress import Meter, shown_progress
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.consumer import RatingConsumer
from workers.ingestion.consuming.postgres import PostgresStore
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.group import GroupConsumer
from workers.kafka.topics import describe_topic, end_offsets
from workers.shutdown import two_stage_shutdown

log = structlog.get_logger(__name__)

_BROKER_TIMEOUT = 30.0
_LOOK_EVERY = 0.2
_REPORT_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class ConsumeOptions:
    """What `consume_ratings` was asked for."""

    group: str
    topic: str
    limits: BatchLimits
    until_caught_up: bool


def consume_ratings(options: ConsumeOptions) -> int:
    """Consumes until a signal, or until the group has caught up; returns the process's exit code.

    0 after a clean stop, or once caught up; 128 + signal when the signal came before the group had caught up. Raises
    KafkaError or IngestionError for what ends a consumer.
    """
    topic = describe_topic(options.topic, timeout=_BROKER_TIMEOUT)
    source = KafkaGroupConsumer(group=options.group, topic=options.topic)
    reporter = _Reporter(source)
    consumer = RatingConsumer(
        source=source,
        store=PostgresStore(group=options.group, topic=topic),
        limits=options.limits,
        on_tick=reporter.tick,
    )
    log.info("consumer_started", group=options.group, topic=topic.name, partitions=topic.partitions)
    with two_stage_shutdown(first_words="Finishing the batch in hand.") as shutdown:
        if not options.until_caught_up:
            consumer.run(lambda: shutdown.is_requested)
            reporter.last_words(consumer)
            return 0
        ends = end_offsets(topic, timeout=_BROKER_TIMEOUT)
        with shown_progress(title=f"Consuming {topic.name}", unit="events", stream=sys.stderr) as meter:
            caught_up = _CaughtUp(consumer, ends, meter)
            consumer.run(lambda: shutdown.is_requested or caught_up())
        reporter.last_words(consumer)
        return 0 if caught_up.reached else shutdown.exit_code


class _CaughtUp:
    """True once the whole group, this process and others, has passed the ends that the topic had at the start."""

    def __init__(self, consumer: RatingConsumer, ends: Mapping[int, int], meter: Meter) -> None:
        self.reached = False
        self._consumer = consumer
        self._ends = {partition: end for partition, end in ends.items() if end > 0}
        self._meter = meter
        self._began_at: Mapping[int, int] | None = None
        self._look_at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self.reached and now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            positions = self._consumer.positions()
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
        self._meter.update(count=done, share=done / behind if behind else 1.0)


class _Reporter:
    """Says every few seconds how fast the consumer is and how far behind."""

    def __init__(self, source: GroupConsumer) -> None:
        self._source = source
        self._next = time.monotonic() + _REPORT_EVERY
        self._since = time.monotonic()
        self._applied = 0

    def tick(self, consumer: RatingConsumer) -> None:
        """Called by the loop as often as it likes."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_EVERY
            if consumer.tally.applied + consumer.tally.dead_lettered != self._applied or consumer.waiting_for:
                self._report(consumer)

    def last_words(self, consumer: RatingConsumer) -> None:
        """What this process has done in all."""
        tally = consumer.tally
        log.info("consumer_stopped", applied=tally.applied, dead_lettered=tally.dead_lettered, batches=tally.batches)

    def _report(self, consumer: RatingConsumer) -> None:
        now, tally = time.monotonic(), consumer.tally
        done = tally.applied + tally.dead_lettered
        owned = consumer.owned
        ends = self._source.known_ends(owned)
        log.info(
            "progress",
            events_per_second=round((done - self._applied) / (now - self._since)),
            lag=sum(max(0, end - owned[partition]) for partition, end in ends.items()),
            partitions=len(owned),
            batch=tally.last_batch,
            write_milliseconds=round(tally.write_seconds * 1000),
            dead_lettered=tally.dead_lettered,
            waiting_for=consumer.waiting_for,
        )
        self._since, self._applied = now, done

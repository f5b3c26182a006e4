"""Runs one rating consumer as a process does: signals, the end that it waits for, and what it tells people."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from workers.ingestion.consumer import BatchLimits, RatingConsumer
from workers.ingestion.postgres import PostgresStore
from workers.ingestion.progress import Progress
from workers.kafka.consumer import GroupConsumer, KafkaGroupConsumer
from workers.kafka.topics import Topic, describe_topic, end_offsets
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
        with _CaughtUp(consumer, topic) as caught_up:
            consumer.run(lambda: shutdown.is_requested or caught_up())
            reporter.last_words(consumer)
            return 0 if caught_up.reached else shutdown.exit_code


class _CaughtUp:
    """True once the whole group, this process and others, has passed the ends that the topic had at the start."""

    def __init__(self, consumer: RatingConsumer, topic: Topic) -> None:
        self.reached = False
        self._consumer = consumer
        self._ends = {
            partition: end for partition, end in end_offsets(topic, timeout=_BROKER_TIMEOUT).items() if end > 0
        }
        self._progress = Progress(description="consuming", total=None, unit="events")
        self._total: int | None = None
        self._began_at: Mapping[int, int] = {}
        self._look_at = 0.0

    def __enter__(self) -> "_CaughtUp":
        self._progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(None, None, None)

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
        begun = {partition: min(positions[partition], end) for partition, end in self._ends.items() if partition in positions}
        if self._total is None and begun.keys() == self._ends.keys():
            self._began_at = begun
            self._total = sum(self._ends.values()) - sum(begun.values())
        if self._total is not None:
            done = sum(begun.values()) - sum(self._began_at.values())
            self._progress.update(done, total=self._total)


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

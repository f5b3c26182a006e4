"""Runs one rating consumer as a process does: signals, the end that it waits for, and what it tells people."""

import gc
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog

from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.breaker import DEFAULT_RATIO, DeadLetterBreaker
from workers.ingestion.consuming.consumer import RatingConsumer
from workers.ingestion.consuming.postgres import PostgresStore
from workers.ingestion.consuming.progress import CaughtUp, ProgressLog, shown_catch_up
from workers.ingestion.dead_letters.mirroring import dead_letters_mirrored
from workers.ingestion.delivery import Delivery
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.topics import Topic, describe_topic, end_offsets
from workers.shutdown import Shutdown, shutdown_by_parent, two_stage_shutdown

log = structlog.get_logger(__name__)

_BROKER_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class ConsumeOptions:
    """What `consume_ratings` was asked for."""

    group: str
    topic: str
    limits: BatchLimits
    until_caught_up: bool
    max_dead_letters: float = DEFAULT_RATIO
    """The share of dead letters, above 0 and at most 1, over which the consumer stops."""
    delivery: Delivery = Delivery.EXACTLY_ONCE
    group_instance_id: str | None = None
    """The name of a static member of the group; None leaves it to KAFKA_CONFIG_GROUP_INSTANCE_ID."""
    supervisor: int | None = None
    """The id of the process that supervises this one, and whose end is this one's end."""


def consume_ratings(options: ConsumeOptions) -> int:
    """Consumes until a signal, or until the group has caught up; returns the process's exit code.

    0 after a clean stop, or once caught up; 128 + signal when the signal came before the group had caught up. Raises
    KafkaError or IngestionError for what ends a consumer.
    """
    # What lives as long as the process is looked through no more, and what lives as long as a batch less often: a third
    # of the time between fetching and writing went into a collector that found nothing.
    gc.freeze()
    gc.set_threshold(250_000, 20, 100)
    topic = describe_topic(options.topic, timeout=_BROKER_TIMEOUT)
    source = _source(options, topic)
    reporter = ProgressLog(source, quiet=options.until_caught_up and sys.stderr.isatty())
    consumer = RatingConsumer(
        source=source,
        store=PostgresStore(group=options.group, topic=topic, delivery=options.delivery),
        delivery=options.delivery,
        limits=options.limits,
        breaker=DeadLetterBreaker(options.max_dead_letters),
        on_tick=reporter.tick,
    )
    log.info(
        "consumer_started",
        group=options.group,
        topic=topic.name,
        partitions=topic.partitions,
        delivery=options.delivery.value,
    )
    with _shutdown(options) as shutdown, dead_letters_mirrored():
        if not options.until_caught_up:
            consumer.run(lambda: shutdown.is_requested, is_stopping=lambda: shutdown.is_requested)
            reporter.last_words(consumer)
            return 0
        ends = end_offsets(topic, timeout=_BROKER_TIMEOUT)
        with shown_catch_up(topic=topic.name) as meter:
            caught_up = CaughtUp(positions=consumer.positions, ends=ends, meter=meter)
            consumer.run(lambda: shutdown.is_requested or caught_up(), is_stopping=lambda: shutdown.is_requested)
        reporter.last_words(consumer)
        return 0 if caught_up.reached else shutdown.exit_code


def _source(options: ConsumeOptions, topic: Topic) -> KafkaGroupConsumer:
    static = {} if options.group_instance_id is None else {"group_instance_id": options.group_instance_id}
    return KafkaGroupConsumer(group=options.group, topic=topic.name, topic_id=topic.topic_id, **static)


def _shutdown(options: ConsumeOptions) -> AbstractContextManager[Shutdown]:
    if options.supervisor is not None:
        return shutdown_by_parent(options.supervisor)
    return two_stage_shutdown(first_words="Finishing the batch in hand.")

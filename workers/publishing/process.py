"""Runs the publishers of some shards as a process does: signals, the end it waits for, and what it tells people."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
import structlog

from movieapp.progress import Meter, shown_progress
from ratings.changes import Shard, publishes_aggregates
from workers.kafka.errors import BrokerUnavailable, TopicNotFound
from workers.kafka.topics import Topic, describe_topic
from workers.kafka.transactions import KafkaTransactionalProducer
from workers.publishing.errors import DatabaseNotReady, PublishingError, PublishingOff, TopicNotMade
from workers.publishing.postgres import PostgresShardStore, mark_everything
from workers.publishing.publisher import ShardPublisher
from workers.shutdown import Shutdown, two_stage_shutdown

log = structlog.get_logger(__name__)

_TOPIC_TIMEOUT = 5.0
_REPORT_EVERY = 5.0
_LOOK_AT_LEFT_EVERY = 2.0
_MOST_LEFT = 1_000_000
# How long `--once` waits for Kafka or the database before it fails; without it a publisher waits for ever.
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What `publish_aggregates` was asked for. `silence` is in seconds."""

    topic: str
    shards: Sequence[Shard]
    once: bool
    resync: bool
    silence: float


class NotWithinPatience(PublishingError):
    """Kafka or the database was away for longer than a command with an end waits."""


def publish_aggregates(options: PublishOptions) -> int:
    """Publishes until a signal, or with `once` until all that had changed is published; the process's exit code.

    0 then; 128 + signal when the signal came before the end that `once` waits for. Raises KafkaError or
    PublishingError for what ends a publisher.
    """
    if not publishes_aggregates() and not (options.once and options.resync):
        raise PublishingOff(
            "RATINGS_PUBLISH_AGGREGATES is off, so nobody marks what changes: set it to true for this process and for "
            "every other that writes ratings."
        )
    publishers = [_publisher(options, shard) for shard in options.shards]
    with two_stage_shutdown(first_words="Finishing the transaction in hand.") as shutdown:
        try:
            if options.resync:
                _wait_for_topic(options, shutdown)
                _resync(shutdown)
            if options.once:
                return 0 if _publish_once(options, publishers, shutdown) else shutdown.exit_code
            _publish(publishers, _Reporter(publishers).tick, lambda: shutdown.is_requested)
            return 0
        finally:
            for publisher in publishers:
                publisher.close()
            log.info("publisher_stopped", published=_published(publishers))


def transactional_id(topic: str, shard: Shard) -> str:
    """Fixed for a shard, so that whoever opens it fences the publisher before; it begins with the topic's name."""
    return f"{topic}-publisher-{shard}"


def _publisher(options: PublishOptions, shard: Shard) -> ShardPublisher:
    return ShardPublisher(
        shard=shard,
        store=PostgresShardStore(shard=shard, silence=options.silence),
        find_topic=lambda on_wait: describe_topic(options.topic, timeout=_TOPIC_TIMEOUT, on_wait=on_wait),
        producer_of=_producer,
    )


def _producer(topic: Topic, shard: Shard, check: Callable[[], None]) -> KafkaTransactionalProducer:
    return KafkaTransactionalProducer(
        topic=topic.name, transactional_id=transactional_id(topic.name, shard), check=check
    )


def _wait_for_topic(options: PublishOptions, shutdown: Shutdown) -> None:
    """Before anything is marked: marks for a topic that is not there would only wait for ever.

    Raises TopicNotMade or TopicNotFound, and NotWithinPatience with `once`.
    """
    give_up_at = time.monotonic() + _PATIENCE
    while not shutdown.is_requested:
        try:
            describe_topic(options.topic, timeout=_TOPIC_TIMEOUT)
        except BrokerUnavailable as away:
            if options.once and time.monotonic() > give_up_at:
                raise NotWithinPatience(f"Not within {_PATIENCE:g} s: {away}") from away
            log.warning("publisher_waits", reason=str(away))
        except TopicNotFound as missing:
            if publishes_aggregates():
                raise
            raise TopicNotMade(
                f"The Kafka cluster has no topic {options.topic!r}. As RATINGS_PUBLISH_AGGREGATES is off, "
                "`manage.py create_topics` makes the one that RATINGS_AGGREGATES_TOPIC names only with --aggregates. "
                "Nothing was marked."
            ) from missing
        else:
            return


def _resync(shutdown: Shutdown) -> None:
    with shown_progress(title="Marking every aggregate", unit="records", stream=sys.stderr) as meter:
        try:
            for looked in mark_everything():
                meter.update(count=looked)
                if shutdown.is_requested:
                    return
        except psycopg.Error as error:
            raise DatabaseNotReady(f"Not every aggregate could be marked: {error}") from error


def _publish_once(options: PublishOptions, publishers: Sequence[ShardPublisher], shutdown: Shutdown) -> bool:
    """True once every shard was swept, by this process, or has nothing left because another one publishes it."""
    with shown_progress(title=f"Publishing to {options.topic}", unit="aggregates", stream=sys.stderr) as meter:
        tick = _Progress(publishers, meter).tick
        _publish(publishers, tick, lambda: shutdown.is_requested or all(map(_is_done, publishers)))
    return all(map(_is_done, publishers))


def _publish(publishers: Sequence[ShardPublisher], tick: Callable[[], None], finished: Callable[[], bool]) -> None:
    due = dict.fromkeys(publishers, 0.0)
    while not finished():
        for publisher in publishers:
            if time.monotonic() >= due[publisher] and not finished():
                due[publisher] = time.monotonic() + publisher.turn()
        tick()
        time.sleep(max(0.0, min(due.values()) - time.monotonic()))


def _is_done(publisher: ShardPublisher) -> bool:
    return publisher.sweeps > 0 or publisher.has_nothing_left


def _published(publishers: Sequence[ShardPublisher]) -> int:
    return sum(publisher.published for publisher in publishers)


class _Progress:
    """Shows a person how far a command with an end is, and ends it when nothing has answered for too long."""

    def __init__(self, publishers: Sequence[ShardPublisher], meter: Meter) -> None:
        self._publishers = publishers
        self._meter = meter
        self._look_at = 0.0
        self._waits_since: float | None = None

    def tick(self) -> None:
        """Raises NotWithinPatience."""
        now = time.monotonic()
        failing = next((one.failing for one in self._publishers if one.failing), None)
        if failing is None:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        elif now - self._waits_since > _PATIENCE:
            raise NotWithinPatience(f"Not within {_PATIENCE:g} s: {failing}")
        if now >= self._look_at:
            self._look_at = now + _LOOK_AT_LEFT_EVERY
            done = _published(self._publishers)
            left = sum(one.left(most=_MOST_LEFT) for one in self._publishers if one.owns)
            self._meter.update(count=done, share=done / (done + left) if done + left else None)


class _Reporter:
    """Says every few seconds how much was published and how much is left."""

    def __init__(self, publishers: Sequence[ShardPublisher]) -> None:
        self._publishers = publishers
        self._published = 0
        self._since = time.monotonic()

    def tick(self) -> None:
        """Called by the loop as often as it likes."""
        now = time.monotonic()
        if now - self._since < _REPORT_EVERY:
            return
        published = _published(self._publishers)
        waiting_for = next((one.waiting_for for one in self._publishers if one.waiting_for), None)
        if published != self._published or waiting_for:
            log.info(
                "progress",
                published=published,
                aggregates_per_second=round((published - self._published) / (now - self._since)),
                left=sum(one.left(most=_MOST_LEFT) for one in self._publishers if one.owns),
                shards=[str(one.shard) for one in self._publishers if one.owns],
                waiting_for=waiting_for,
            )
        self._published, self._since = published, now

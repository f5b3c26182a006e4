"""When the tombstones of deleted ratings may go: once nothing older can come, from Kafka or from a dead letter."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from movieapp.words import counted
from ratings.purging import PurgeStep, tombstones_purge
from workers.ingestion.errors import IngestionError
from workers.ingestion.models import DeadLetter
from workers.kafka.retention import topic_retention

log = structlog.get_logger(__name__)

_LEAST_DEFAULT = timedelta(days=30)
_LONGEST = timedelta(days=36_500)
_TIMEOUT = 30.0


class StillNeeded(IngestionError):
    """Some of the tombstones may still keep an older write from applying."""


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge removes: all tombstones from before a moment; `kept_for_letters` when a dead letter set it."""

    before: datetime
    kept_for_letters: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """How long the topic keeps events, None for ever, and what says so."""

    age: timedelta | None
    source: str


def planned_purge(*, older_than: timedelta | None, unsafe: bool) -> Purge:
    """What may go: tombstones older than that, or than the default for None, and than the oldest dead letter.

    The default is twice the retention of the ratings' topic, as Kafka removes whole segments and so may keep an event
    for about that long, and 30 days at least. The retention is the longer of the topic's own, which Kafka tells, and
    that of the settings. Raises StillNeeded for an age within the retention, and KafkaError. `unsafe` removes as much
    as `older_than` says in any case, and then asks Kafka nothing.
    """
    if older_than is None or not unsafe:
        older_than = _safe_age(_kept(settings.RATINGS_TOPIC), older_than)
    before = timezone.now() - older_than
    oldest = None if unsafe else DeadLetter.objects.aggregate(oldest=Min("timestamp"))["oldest"]
    if oldest is not None and oldest < before:
        return Purge(before=oldest, kept_for_letters=True)
    return Purge(before=before, kept_for_letters=False)


def purge_deleted(
    purge: Purge, *, on_step: Callable[[PurgeStep], None], stopping: Callable[[], bool] = lambda: False
) -> int:
    """Removes them while writers run, and tells after each step how far it is; how many were removed.

    Ends before the next step once `stopping()`.
    """
    removed = 0
    for step in tombstones_purge(before=purge.before):
        removed = step.removed
        on_step(step)
        if stopping():
            break
    log.info("tombstones_purged", removed=removed, before=purge.before.isoformat())
    return removed


_UNSAFE_IN_WORDS = "Where you know that nothing of it is read again, --unsafe removes them all the same"


def _safe_age(kept: _Kept, older_than: timedelta | None) -> timedelta:
    if older_than is None:
        if kept.age is None:
            raise StillNeeded(
                f"Kafka may keep every event ({kept.source}), so no tombstone is ever too old. "
                f"{_UNSAFE_IN_WORDS}, with --older-than."
            )
        return max(_LEAST_DEFAULT, min(2 * kept.age, _LONGEST))
    if kept.age is None or older_than < kept.age:
        span = "for ever" if kept.age is None else f"for {_in_words(kept.age)}"
        raise StillNeeded(
            f"Kafka keeps events {span} ({kept.source}), and an older put that is read after its "
            f"tombstone is gone makes the deleted rating stand again. Give a longer time. {_UNSAFE_IN_WORDS}."
        )
    return older_than


def _in_words(age: timedelta) -> str:
    """`7 days`, `1 day 12 hours`: whole seconds."""
    minutes, seconds = divmod(age.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"day": age.days, "hour": hours, "minute": minutes, "second": seconds}
    words = [counted(count, unit) for unit, count in parts.items() if count]
    return " ".join(words) or "less than a second"


def _kept(topic: str) -> _Kept:
    """The longer of what the topic itself has and what the settings say."""
    milliseconds = settings.RATINGS_TOPIC_RETENTION_MS
    if milliseconds < 0:
        return _Kept(None, "RATINGS_TOPIC_RETENTION_MS is -1")
    wanted = min(timedelta(milliseconds=min(milliseconds, 2**46)), _LONGEST)
    actual = topic_retention(topic, timeout=_TIMEOUT)
    if actual.age is None:
        by_size = ", and retention.bytes says nothing of their age" if actual.is_by_size else ""
        return _Kept(None, f"the topic {topic} itself deletes no messages for their age{by_size}")
    if actual.age > wanted:
        return _Kept(min(actual.age, _LONGEST), f"retention.ms of the topic {topic}")
    return _Kept(wanted, "RATINGS_TOPIC_RETENTION_MS")

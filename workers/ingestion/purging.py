"""When the tombstones of deleted ratings may go: once nothing older can come, from Kafka or from a dead letter."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from ratings.purging import PurgeStep, tombstones_purge
from workers.ingestion.errors import IngestionError
from workers.ingestion.models import DeadLetter

log = structlog.get_logger(__name__)

_LEAST_DEFAULT = timedelta(days=30)
_LONGEST = timedelta(days=36_500)


class StillNeeded(IngestionError):
    """Some of the tombstones may still keep an older write from applying."""


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge removes: all tombstones from before a moment; `kept_for_letters` when a dead letter set it."""

    before: datetime
    kept_for_letters: bool


def planned_purge(*, older_than: timedelta | None, unsafe: bool) -> Purge:
    """What may go: tombstones older than that, or than the default for None, and than the oldest dead letter.

    The default is twice the retention of the ratings' topic, as Kafka removes whole segments and so may keep an event
    for about that long, and 30 days at least. Raises StillNeeded for an age within the retention. `unsafe` removes as
    much as `older_than` says in any case.
    """
    retention = _retention()
    if older_than is None:
        if retention is None:
            raise StillNeeded(
                "RATINGS_TOPIC_RETENTION_MS is -1: Kafka keeps every event, so no tombstone is ever too old. "
                f"{_UNSAFE_IN_WORDS}, with --older-than."
            )
        older_than = max(_LEAST_DEFAULT, min(2 * retention, _LONGEST))
    elif not unsafe and (retention is None or older_than < retention):
        kept = "for ever" if retention is None else f"for {retention}"
        raise StillNeeded(
            f"Kafka keeps events {kept} (RATINGS_TOPIC_RETENTION_MS), and an older put that is read after its "
            f"tombstone is gone makes the deleted rating stand again. Give a longer time. {_UNSAFE_IN_WORDS}."
        )
    before = timezone.now() - older_than
    oldest = None if unsafe else DeadLetter.objects.aggregate(oldest=Min("timestamp"))["oldest"]
    if oldest is not None and oldest < before:
        return Purge(before=oldest, kept_for_letters=True)
    return Purge(before=before, kept_for_letters=False)


def purge_deleted(purge: Purge, *, on_step: Callable[[PurgeStep], None]) -> int:
    """Removes them while writers run, and tells after each step how far it is; how many were removed."""
    removed = 0
    for step in tombstones_purge(before=purge.before):
        removed = step.removed
        on_step(step)
    log.info("tombstones_purged", removed=removed, before=purge.before.isoformat())
    return removed


_UNSAFE_IN_WORDS = "Where you know that nothing of it is read again, --unsafe removes them all the same"


def _retention() -> timedelta | None:
    """How long the topic keeps events, by the settings; None for ever."""
    milliseconds = settings.RATINGS_TOPIC_RETENTION_MS
    if milliseconds < 0:
        return None
    return min(timedelta(milliseconds=min(milliseconds, 2**46)), _LONGEST)

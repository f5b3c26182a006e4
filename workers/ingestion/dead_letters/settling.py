"""Settles dead letters: applies them at the time they had, so that what was written later stands, or discards them."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import psycopg
import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from ratings.errors import InvalidRating, StaleIds
from ratings.events import RatingEvent, decode_event
from ratings.interning import Interner
from ratings.models import Rating
from ratings.services import interning_share, rating_writes, ratings_write_late
from workers.ingestion.dead_letters.selectors import letter_get
from workers.ingestion.dead_letters.troubles import bound_transaction, refusal_in, repeated
from workers.ingestion.models import DeadLetter
from workers.ingestion.postgres_errors import named_troubles

log = structlog.get_logger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outcome(StrEnum):
    """What became of a letter: a failed one is kept with its new reason, all others are not there any more."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    DISCARDED = "discarded"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Settled:
    """One letter's outcome; `field` and `reason` say why it failed."""

    letter_id: int
    outcome: Outcome
    field: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Ready:
    letter_id: int
    event: RatingEvent
    time: int
    """Microseconds since the Unix epoch."""


def letters_replay(*, letter_ids: Sequence[int]) -> list[Settled]:
    """Applies the letters as they are; the outcomes in the order of `letter_ids`, which may be a few hundred.

    A letter goes in the transaction that applies it, so two replays at once apply it once. Of several for one rating
    the last in time stays. One that fails is tried once more alone, kept, and its attempts counted; the others go on.
    Raises StoreUnavailable or StoreNotReady: what is not applied then is as it was.
    """
    letters = (
        DeadLetter.objects.filter(pk__in=letter_ids)
        .defer("key", "headers")
        .order_by("timestamp", "partition", "offset")
    )
    outcomes: dict[int, Settled] = {}
    ready: list[_Ready] = []
    with named_troubles():
        for letter in letters:
            try:
                ready.append(_read(letter))
            except InvalidRating as invalid:
                outcomes[letter.pk] = Settled(letter.pk, Outcome.FAILED, invalid.field, invalid.reason)
        outcomes |= _apply_all(ready)
        _keep_failures([one for one in outcomes.values() if one.outcome is Outcome.FAILED])
    result = [outcomes.get(letter_id, Settled(letter_id, Outcome.GONE)) for letter_id in letter_ids]
    _log(result)
    return result


def letter_replay_mended(*, letter_id: int, value: bytes) -> Settled:
    """Applies `value` in place of the letter's own; a letter for which that fails stays untouched.

    Raises InvalidRating when `value` is no rating event, UnknownDeadLetter, and as `letters_replay` does.
    """
    with named_troubles():
        ready = _ready(letter_get(letter_id), decode_event(value))
        result = _apply_all([ready])[letter_id]
    _log([result])
    return result


def letters_discard(*, letter_ids: Sequence[int]) -> list[Settled]:
    """Deletes the letters without applying them; the outcomes in the order of `letter_ids`.

    Raises StoreUnavailable or StoreNotReady: nothing is deleted then.
    """

    def discard() -> frozenset[int]:
        with transaction.atomic():
            ids = _locked(letter_ids)
            DeadLetter.objects.filter(pk__in=ids).delete()
        return ids

    with named_troubles():
        discarded = repeated(discard)
    log.info("dead_letters_discarded", letters=len(discarded))
    return [Settled(one, Outcome.DISCARDED if one in discarded else Outcome.GONE) for one in letter_ids]


def _read(letter: DeadLetter) -> _Ready:
    return _ready(letter, decode_event(None if letter.value is None else bytes(letter.value)))


def _ready(letter: DeadLetter, event: RatingEvent) -> _Ready:
    if letter.timestamp is None:
        raise InvalidRating("", "its time is not known, so that nobody could say what is newer")
    return _Ready(letter.pk, event, (letter.timestamp - _EPOCH) // timedelta(microseconds=1))


def _apply_all(ready: Sequence[_Ready]) -> dict[int, Settled]:
    """All at once where the database takes them; else one after the other, so that each has its own reason."""
    if not ready:
        return {}
    try:
        return repeated(lambda: _apply(ready))
    except DatabaseError as error:
        refusal = refusal_in(error)
        if refusal is None:
            raise
        if len(ready) == 1:
            letter_id = ready[0].letter_id
            return {letter_id: Settled(letter_id, Outcome.FAILED, refusal.field, refusal.reason)}
    # The last in time first: of two with the same time the one that stands is taken as the later.
    return {letter_id: done for one in reversed(ready) for letter_id, done in _apply_all([one]).items()}


def _apply(ready: Sequence[_Ready]) -> dict[int, Settled]:
    interner = Interner()
    with _cursor() as cursor:
        while True:
            events, times = [one.event for one in ready], [one.time for one in ready]
            keys = interner.intern(cursor, events).tolist()
            writes = rating_writes(cursor, interner, events, times)
            letter_ids = [one.letter_id for one in ready]
            try:
                with transaction.atomic():
                    bound_transaction()
                    interning_share(cursor)
                    _check_all_there(letter_ids)
                    ratings_write_late(cursor, writes)
                    standing = _standing(keys)
                    DeadLetter.objects.filter(pk__in=letter_ids).delete()
            except StaleIds:
                interner.forget()
            except _SomeAreGoneError as gone:
                ready = [one for one in ready if one.letter_id in gone.left]
                if not ready:
                    return {}
            else:
                return {
                    one.letter_id: Settled(one.letter_id, _outcome(one, standing.get(key)))
                    for one, key in zip(ready, keys, strict=True)
                }


class _SomeAreGoneError(Exception):
    """Somebody else has replayed, discarded or erased some of the letters; `left` are the others."""

    def __init__(self, left: frozenset[int]) -> None:
        super().__init__()
        self.left = left


def _check_all_there(letter_ids: Collection[int]) -> None:
    left = _locked(letter_ids)
    if len(left) != len(letter_ids):
        raise _SomeAreGoneError(left)


def _locked(letter_ids: Collection[int]) -> frozenset[int]:
    """Locks the letters in one order, so that two replays wait for each other and never in a circle."""
    there = DeadLetter.objects.filter(pk__in=letter_ids).order_by("pk").select_for_update()
    return frozenset(there.values_list("pk", flat=True))


def _standing(keys: Collection[int]) -> Mapping[int, tuple[int | None, int]]:
    """Value and time, in microseconds, of each of these ratings."""
    rows = Rating.objects.filter(pk__in=set(keys)).values_list("pk", "value", "written_at")
    return {key: (value, (written_at - _EPOCH) // timedelta(microseconds=1)) for key, value, written_at in rows}


def _outcome(one: _Ready, standing: tuple[int | None, int] | None) -> Outcome:
    return Outcome.APPLIED if standing == (one.event.tenths, one.time) else Outcome.SUPERSEDED


def _keep_failures(failures: Sequence[Settled]) -> None:
    def keep() -> None:
        with transaction.atomic():
            for failure in sorted(failures, key=lambda one: one.letter_id):
                DeadLetter.objects.filter(pk=failure.letter_id).update(
                    attempts=F("attempts") + 1, field=failure.field, reason=failure.reason
                )

    if failures:
        repeated(keep)


@contextmanager
def _cursor() -> Iterator[psycopg.Cursor[Any]]:
    """A psycopg cursor on Django's connection that binds parameters on the server, as the write path wants it."""
    with connection.cursor(), connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def _log(results: Sequence[Settled]) -> None:
    log.info("dead_letters_replayed", **Counter(str(one.outcome) for one in results))

"""Finds dead letters: by what people know of them, a page or a bounded part at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import BigIntegerField, F, Func, Max, QuerySet
from django.db.models.functions import Coalesce

from workers.ingestion.errors import UnknownDeadLetter
from workers.ingestion.models import DeadLetter

_CHUNK_LETTERS = 500
_CHUNK_BYTES = 8_388_608
HIGHEST_COUNT = 10_000
"""How far the letters beyond a page are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LetterFilter:
    """Which letters somebody means; None is any. `since` is about when they were set aside."""

    group: str | None = None
    topic: str | None = None
    partition: int | None = None
    field: str | None = None
    reason_contains: str | None = None
    since: datetime | None = None

    def letters(self) -> QuerySet[DeadLetter]:
        """The letters that match all of it."""
        given = {
            "group": self.group,
            "topic": self.topic,
            "partition": self.partition,
            "field": self.field,
            "reason__icontains": self.reason_contains,
            "created_at__gte": self.since,
        }
        return DeadLetter.objects.filter(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some letters, the newest first, without key, value and headers.

    `more` is how many older ones match as well; HIGHEST_COUNT stands for that many or more.
    """

    letters: Sequence[DeadLetter]
    more: int


def letters_page(*, wanted: LetterFilter, before: int | None, limit: int) -> LetterPage:
    """The newest letters that match, or the newest of those with an id below `before`: stable while others come in."""
    matching = wanted.letters().order_by("-pk")
    if before is not None:
        matching = matching.filter(pk__lt=before)
    letters = list(matching.defer("key", "value", "headers")[:limit])
    if len(letters) < limit:
        return LetterPage(letters, 0)
    older = matching.order_by().filter(pk__lt=letters[-1].pk)
    return LetterPage(letters, older[:HIGHEST_COUNT].count())


def letter_get(letter_id: int) -> DeadLetter:
    """The letter, whole. Raises UnknownDeadLetter."""
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise UnknownDeadLetter(letter_id)
    return letter


def latest_id(letters: QuerySet[DeadLetter]) -> int:
    """The highest id among the letters; 0 when there are none."""
    return letters.order_by().aggregate(latest=Max("pk"))["latest"] or 0


def letter_chunks(letters: QuerySet[DeadLetter], *, up_to: int) -> Iterator[list[int]]:
    """Ids from `up_to` down, some hundred and some megabytes of letters at a time.

    Looks for each part when it is wanted, so the letters of the parts before may be deleted meanwhile, and memory does
    not grow with their number. Downwards, because the later of two letters must be replayed first: a write of the same
    time that stands is taken as the later one.
    """
    below = up_to + 1
    while ids := sized_ids(letters.filter(pk__lt=below).order_by("-pk")):
        yield ids
        below = ids[-1]


def sized_ids(letters: QuerySet[DeadLetter]) -> list[int]:
    """The first ids in the query's order, as many as may be held in memory at once; at least one if there is one."""
    length = Coalesce(Func(F("value"), function="octet_length", output_field=BigIntegerField()), 0)
    ids: list[int] = []
    size = 0
    for pk, octets in letters.annotate(octets=length).values_list("pk", "octets")[:_CHUNK_LETTERS]:
        size += octets
        if ids and size > _CHUNK_BYTES:
            break
        ids.append(pk)
    return ids

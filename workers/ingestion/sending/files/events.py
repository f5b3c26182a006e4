"""What comes out of a file, events and rejections with their places; and the defaults that the caller gives."""

from collections.abc import Iterator
from dataclasses import dataclass

from ratings.events import RatingEvent
from workers.ingestion.sending.files.scale import Scale

LONGEST = 65_536
"""The longest line or element in bytes; the longest valid event has less than 4,000."""

TOO_LONG = f"it is longer than {LONGEST} bytes"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One event that is not acceptable: the physical line it starts in (from 1 on), why, and what would be right."""

    line: int
    reason: str


FileEvents = Iterator[tuple[int, RatingEvent | Rejection]]
"""Each event with its position from 1 on: the line, or in JSON the number of the element."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the caller says of a file's events: the provider where one names none, and the scale of the values."""

    provider: str = ""
    scale: Scale | None = None

"""What comes out of a file: events and rejections, each with its place, and the defaults that the caller gives."""

from collections.abc import Iterator
from dataclasses import dataclass

from ratings.events import RatingEvent
from workers.ingestion.files.scale import Scale


@dataclass(frozen=True, slots=True)
class Rejection:
    """One event that is not acceptable: the physical line it starts in (from 1 on) and why, with what would be right."""

    line: int
    reason: str


FileEvents = Iterator[tuple[int, RatingEvent | Rejection]]
"""Each event with its position from 1 on: the line, or in JSON the number of the element."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the caller says about a file's events: the provider where an event names none, and the scale of its values."""

    provider: str = ""
    scale: Scale | None = None

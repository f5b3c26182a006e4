"""Where an operator wants a group to go on, as the command line says it."""

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

_FORMS = "earliest, latest, a time as 2026-01-31T12:00:00Z or in milliseconds since 1970, or PARTITION:OFFSET[,…]"
# From 1973 on. Smaller numbers are offsets, or seconds, that somebody took for milliseconds.
_LEAST_MILLISECONDS = 10**11
_MOST_MILLISECONDS = 10**14


class Edge(Enum):
    """One end of each partition."""

    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Since:
    """The first message of this time or later, in milliseconds since the Unix epoch; the end where there is none."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Exactly:
    """These offsets, by partition; no other partition is moved."""

    offsets: Mapping[int, int]


Destination = Edge | Since | Exactly


def destination(text: str) -> Destination:
    """An argparse type: one of the forms that `--to` takes."""
    if text in {edge.value for edge in Edge}:
        return Edge(text)
    if re.fullmatch(r"\d+:\d+(,\d+:\d+)*", text, re.ASCII):
        return _offsets(text)
    if re.fullmatch(r"\d+", text, re.ASCII):
        if not _LEAST_MILLISECONDS <= int(text) < _MOST_MILLISECONDS:
            raise ArgumentTypeError(
                f"{text} is not a time in milliseconds since 1970, which has 12 to 14 digits. "
                "For an offset write PARTITION:OFFSET"
            )
        return Since(int(text))
    return _moment(text)


def partition_number(text: str) -> int:
    """An argparse type: 0 or more."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is not a partition's number")
    return int(text)


def _offsets(text: str) -> Exactly:
    offsets: dict[int, int] = {}
    for pair in text.split(","):
        partition, offset = map(int, pair.split(":"))
        if partition in offsets:
            raise ArgumentTypeError(f"partition {partition} is named twice")
        if offset >= 2**63:
            raise ArgumentTypeError(f"{offset} is more than any offset can be")
        offsets[partition] = offset
    return Exactly(offsets)


def _moment(text: str) -> Since:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is none of: {_FORMS}") from None
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} does not say in which time zone: add Z for UTC, or +02:00")
    milliseconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    if milliseconds < 0:
        raise ArgumentTypeError(f"{text!r} is before 1970")
    return Since(milliseconds)

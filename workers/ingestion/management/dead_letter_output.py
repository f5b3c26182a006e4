"""Dead letters in words: a table, a page about one, JSON lines; nothing in a message can act on a terminal."""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from workers.ingestion.dead_letters.payloads import header_values, payload_text, printable
from workers.ingestion.dead_letters.selectors import HIGHEST_COUNT, LetterPage
from workers.ingestion.dead_letters.settling import Outcome, Settled
from workers.ingestion.models import DeadLetter

_COLUMNS = ("ID", "MESSAGE", "GROUP", "TIME (UTC)", "TRIES", "FIELD", "REASON")
_WORDS = {
    Outcome.APPLIED: "applied",
    Outcome.SUPERSEDED: "superseded: a write of this rating that is not older stands",
    Outcome.DISCARDED: "discarded",
    Outcome.GONE: "there is no such letter, or not any more",
}


def table(page: LetterPage, *, width: int | None) -> Iterator[str]:
    """The letters as lines of at most `width` characters (None: as long as they are), and how to see the rest."""
    if not page.letters:
        yield "No dead letters."
        return
    rows = [_COLUMNS, *(_row(letter) for letter in page.letters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    for row in rows:
        line = "  ".join([*(cell.ljust(size) for cell, size in zip(row, widths, strict=False)), row[-1]])
        yield line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def more_in_words(page: LetterPage) -> str:
    """How many letters the page leaves out, and how to see them; "" when it leaves out none."""
    if not page.more:
        return ""
    count = f"{page.more:,} or more" if page.more >= HIGHEST_COUNT else f"{page.more:,}"
    return f"{count} older ones: --before {page.letters[-1].pk} shows them."


def json_line(letter: DeadLetter, *, whole: bool) -> str:
    """The letter as one line of JSON; `whole` adds key, value and headers, in base64."""
    fields: dict[str, Any] = {
        "id": letter.pk,
        "group": letter.group,
        "clusterId": letter.cluster_id,
        "topicId": letter.topic_id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": _iso(letter.timestamp),
        "field": letter.field,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "createdAt": _iso(letter.created_at),
        "mirroredAt": _iso(letter.mirrored_at),
        "mirrorRefusal": letter.mirror_refusal,
    }
    if whole:
        fields |= {"key": _base64(letter.key), "value": _base64(letter.value), "headers": letter.headers}
    return json.dumps(fields)


def page_about(letter: DeadLetter) -> Iterator[str]:
    """Everything about one letter, line by line."""
    facts = {
        "message": str(letter),
        "group": letter.group,
        "time": _iso(letter.timestamp) or "not known",
        "field": letter.field or "-",
        "reason": letter.reason,
        "attempts": str(letter.attempts),
        "set aside": _iso(letter.created_at) or "",
        "mirrored": _iso(letter.mirrored_at) or letter.mirror_refusal or "no",
        "topic id": letter.topic_id,
        "cluster id": letter.cluster_id,
    }
    yield f"Dead letter {letter.pk}"
    for name, fact in facts.items():
        yield f"  {name:<10} {printable(fact)}"
    for name, value in header_values(letter.headers):
        yield f"  header     {printable(name)}: {payload_text(value)}"
    yield f"  key        {payload_text(letter.key)}"
    yield "  value"
    yield payload_text(letter.value)


def outcome_line(result: Settled) -> str:
    """What became of one letter."""
    words = _WORDS.get(result.outcome)
    if words is None:
        words = f"failed: {result.field}: {result.reason}" if result.field else f"failed: {result.reason}"
    return f"{result.letter_id}: {printable(words)}"


def outcomes_in_words(counts: Mapping[Outcome, int]) -> str:
    """How many letters came to which end, leaving out what did not happen."""
    return ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in Outcome if counts[outcome]) or "nothing done"


def _row(letter: DeadLetter) -> tuple[str, ...]:
    time = "-" if letter.timestamp is None else f"{letter.timestamp:%Y-%m-%d %H:%M:%S}"
    cells = (str(letter.pk), str(letter), letter.group, time, str(letter.attempts), letter.field or "-", letter.reason)
    return tuple(printable(cell) for cell in cells)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _base64(payload: Any) -> str | None:
    return None if payload is None else base64.b64encode(bytes(payload)).decode()

"""The stages that are measured: each alone, and the whole as people run it."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One stage: `rate` in events a second of wall time, start-up included; CPU of our own processes alone."""

    stage: str
    rate: float
    cpu_seconds: float
    is_whole: bool = False


class RunManage(Protocol):
    """Runs one `manage.py` command to its end."""

    def __call__(self, *arguments: str) -> None: ...


def measure(path: Path, count: int, *, manage: RunManage, say: Callable[[str], None]) -> list[Measured]:
    """All stages, one after the other, on the database and the topic of the environment."""
    import django

    django.setup()
    stages: list[tuple[str, Callable[[], object], bool]] = [
        ("decode alone (msgspec)", lambda: _decode(path), False),
        ("file → Kafka: ingest_file", lambda: manage("ingest_file", str(path), "--format", "ndjson"), False),
        ("Kafka → Postgres: consume_ratings", lambda: manage("consume_ratings", "--until-caught-up"), True),
        (
            "replay by a second group",
            lambda: manage("consume_ratings", "--group", "replay", "--until-caught-up"),
            False,
        ),
        ("the same SQL fed from memory", lambda: _write_from_memory(path), False),
        ("the same once more: a replay", lambda: _write_from_memory(path), False),
    ]
    measured = []
    for stage, run, is_whole in stages:
        say(stage)
        if stage.startswith("the same SQL"):
            manage("flush", "--no-input")
        measured.append(_timed(stage, run, count, is_whole=is_whole))
    return measured


def _timed(stage: str, run: Callable[[], object], count: int, *, is_whole: bool) -> Measured:
    began, before = time.monotonic(), os.times()
    run()
    seconds, after = time.monotonic() - began, os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    return Measured(stage, count / seconds, cpu, is_whole=is_whole)


def _lines(path: Path) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        while batch := list(islice(file, BATCH)):
            yield batch


def _decode(path: Path) -> None:
    from ratings.events import decode_event

    for batch in _lines(path):
        for line in batch:
            decode_event(line)


def _write_from_memory(path: Path) -> None:
    import psycopg

    from ratings.events import decode_event
    from ratings.interning import Interner
    from ratings.services import rating_writes, ratings_write
    from workers.ingestion.consuming.database import connect

    interner = Interner()
    first = 1_700_000_000_000_000
    with connect() as connection, psycopg.Cursor[Any](connection) as cursor:
        for batch in _lines(path):
            events = [decode_event(line) for line in batch]
            writes = rating_writes(cursor, interner, events, range(first, first + len(events)))
            with connection.transaction():
                ratings_write(cursor, writes)
            first += len(events)

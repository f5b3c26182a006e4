"""Opens one file and reads its events: the input, its format and the defaults put together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

from movieapp.inputs.opening import Input, open_input
from movieapp.inputs.source import Source
from workers.ingestion.sending.files.detection import Format, detected_format
from workers.ingestion.sending.files.events import Defaults, FileEvents
from workers.ingestion.sending.files.json_array import json_events
from workers.ingestion.sending.files.ndjson import ndjson_events
from workers.ingestion.sending.files.tables import CSV, IMDB, MOVIELENS, table_events


@dataclass(frozen=True, slots=True)
class EventFile:
    """An open file: what it was found to be, its events, and the raw source for its progress in bytes."""

    source: Source
    format: Format
    events: FileEvents


@contextmanager
def event_file(
    path: str, *, file_format: Format, defaults: Defaults, start_at: int = 1, on_wait: Callable[[], None] = lambda: None
) -> Iterator[EventFile]:
    """The events of `path` ("-" is standard input) from position `start_at` on: a line, or in JSON an element.

    `on_wait` is called while reading, at least five times a second; what it raises comes out of the events.
    Raises InputError, here or from the events.
    """
    with open_input(path, on_wait=on_wait) as opened:
        if file_format is Format.AUTO:
            file_format = detected_format(opened.start, name=opened.name)
        yield EventFile(opened.source, file_format, _events(opened, file_format, defaults, start_at))


def _events(opened: Input, file_format: Format, defaults: Defaults, start_at: int) -> FileEvents:
    content, name = opened.content, opened.name
    match file_format:
        case Format.JSON:
            return json_events(content, name, defaults=defaults, start_at=start_at)
        case Format.NDJSON:
            return ndjson_events(content, defaults=defaults, start_at=start_at)
        case Format.CSV:
            return table_events(content, name, table=CSV, defaults=defaults, start_at=start_at)
        case Format.MOVIELENS:
            return table_events(content, name, table=MOVIELENS, defaults=defaults, start_at=start_at)
        case Format.IMDB:
            return table_events(content, name, table=IMDB, defaults=defaults, start_at=start_at)
        case Format.AUTO:
            raise AssertionError("the format is detected before this")
        case _:
            assert_never(file_format)

"""Opens one file and reads its events: source, decompression, format and defaults put together."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

from workers.ingestion.files.compression import decompressed
from workers.ingestion.files.detection import Format, detected_format
from workers.ingestion.files.events import Defaults, FileEvents
from workers.ingestion.files.json_stream import json_events
from workers.ingestion.files.ndjson import ndjson_events
from workers.ingestion.files.source import Rejoined, Source
from workers.ingestion.files.tables import CSV, IMDB, MOVIELENS, table_events

_LOOK_AT = 64 * 1024
_CHUNK = 256 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
    Raises FileError, here or from the events.
    """
    source = Source(path, on_wait=on_wait)
    with source:
        plain = decompressed(source)
        start = _first_line(plain)
        if file_format is Format.AUTO:
            file_format = detected_format(start, path=path)
        stream = io.BufferedReader(Rejoined(start, plain), _CHUNK)
        yield EventFile(source, file_format, _events(stream, path, file_format, defaults, start_at))


def _first_line(plain: io.BufferedIOBase) -> bytes:
    """The file's beginning up to its first line that is not blank or more, without a byte order mark."""
    start = b""
    while b"\n" not in start.lstrip() and len(start) < _LOOK_AT and (more := plain.read1(_LOOK_AT)):
        start += more
    return start.removeprefix(_BYTE_ORDER_MARK)


def _events(stream: io.BufferedIOBase, path: str, file_format: Format, defaults: Defaults, start_at: int) -> FileEvents:
    match file_format:
        case Format.JSON:
            return json_events(stream, path, defaults=defaults, start_at=start_at)
        case Format.NDJSON:
            return ndjson_events(stream, defaults=defaults, start_at=start_at)
        case Format.CSV:
            return table_events(stream, path, table=CSV, defaults=defaults, start_at=start_at)
        case Format.MOVIELENS:
            return table_events(stream, path, table=MOVIELENS, defaults=defaults, start_at=start_at)
        case Format.IMDB:
            return table_events(stream, path, table=IMDB, defaults=defaults, start_at=start_at)
        case Format.AUTO:
            raise AssertionError("the format is detected before this")
        case _:
            assert_never(file_format)

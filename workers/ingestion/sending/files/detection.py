"""Tells a file's format by its first bytes, and where they fit several by its name."""

import enum
from pathlib import Path

import msgspec

from movieapp.inputs.errors import FormatUnknown
from workers.ingestion.sending.files.tables import CSV, IMDB, MOVIELENS, header_fits


class Format(enum.StrEnum):
    """What `--format` may be."""

    AUTO = "auto"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    MOVIELENS = "movielens"
    IMDB = "imdb"


_COMPRESSION_ENDINGS = (".gz", ".gzip", ".zst", ".zstd")
_NDJSON_ENDINGS = (".ndjson", ".jsonl", ".jsonlines")
_WANTED = (
    "its format cannot be told from its first line; give --format json, ndjson, csv (whose header names "
    "recordId, userId and ratingValue), movielens or imdb"
)


def detected_format(start: bytes, *, name: str) -> Format:
    """The format of a file whose plain bytes begin with `start`; JSON for an empty one. Raises FormatUnknown."""
    text = start.lstrip()
    if not text or text.startswith(b"["):
        return Format.JSON
    if text.startswith(b"{"):
        return _one_object_or_many(text, _plain_name(name))
    first_line = text.split(b"\n", 1)[0].decode("utf-8", "replace")
    for table, file_format in ((IMDB, Format.IMDB), (MOVIELENS, Format.MOVIELENS), (CSV, Format.CSV)):
        if header_fits(first_line, table):
            return file_format
    raise FormatUnknown(name, _WANTED)


def _one_object_or_many(text: bytes, name: str) -> Format:
    if name.endswith(_NDJSON_ENDINGS):
        return Format.NDJSON
    line = text.partition(b"\n")[0]
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # An object that does not end on its line is a pretty-printed one, or the file's first line is broken.
        return Format.JSON
    return Format.NDJSON


def _plain_name(name: str) -> str:
    name = Path(name).name.lower()
    for ending in _COMPRESSION_ENDINGS:
        name = name.removesuffix(ending)
    return name

"""The formats that movies come in: how each is recognised, and what its rows say of a movie."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from metadata.drafts import ALL_FIELDS, MovieDraft, movie_draft
from metadata.errors import InvalidMovie
from metadata.models import FIRST_YEAR, LAST_YEAR
from metadata.sources.json_value import json_value
from metadata.sources.rows import Row, elements, lines
from movieapp.inputs.errors import FormatUnknown
from movieapp.inputs.opening import Input

FORMATS = ("json", "ndjson", "movielens", "imdb")
AUTO = "auto"

ALL_TITLE_TYPES = frozenset({"all"})

_MOVIELENS_HEADER = ["movieId", "title", "genres"]
_MOVIELENS_FIELDS = frozenset({"title", "year", "genres"})
_NO_GENRES = "(no genres listed)"
_TITLE_WITH_YEAR = re.compile(r"(.*\S)\s*\((\d{4})\)")

_IMDB_HEADER = [
    *("tconst", "titleType", "primaryTitle", "originalTitle", "isAdult"),
    *("startYear", "endYear", "runtimeMinutes", "genres"),
]
_IMDB_FIELDS = frozenset({"title", "year", "genres"})
_IMDB_NULL = "\\N"

_JSON_DEFAULTS: dict[str, object] = {"description": "", "director": "", "year": None, "genres": ()}

DraftOf = Callable[[str], MovieDraft | None]
"""The draft that a row's text stands for, or None for one that is left out. Raises InvalidMovie."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of one input, and what makes a draft of one."""

    format: str
    rows: Iterator[Row]
    draft_of: DraftOf


def read_as(opened: Input, *, format_name: str, title_types: frozenset[str]) -> Reading:
    """The input's rows in the format, which AUTO tells by the first bytes. Raises InputError, here or from the rows."""
    if format_name == AUTO:
        format_name = recognised_format(opened.start, name=opened.name)
    match format_name:
        case "movielens":
            rows = _table(opened, "movies.csv", _movielens_cells, _MOVIELENS_HEADER)
            return Reading(format_name, rows, _movielens_draft)
        case "imdb":
            rows = _table(opened, "title.basics.tsv", _imdb_cells, _IMDB_HEADER)
            return Reading(format_name, rows, _imdb_draft_of(title_types))
        case "ndjson":
            return Reading(format_name, lines(opened.content), partial(_json_draft, kind="line"))
        case _:
            rows = elements(opened.content, name=opened.name)
            return Reading(format_name, rows, partial(_json_draft, kind="element"))


def recognised_format(start: bytes, *, name: str) -> str:
    """The format of an input that begins with `start`. Raises FormatUnknown when it is none of them."""
    start = start.lstrip()
    first_line = start.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    columns = first_line.replace("\t", ",").split(",")
    if start.startswith(b"[") or not start:
        return "json"
    if start.startswith(b"{"):
        return "ndjson" if _is_json(first_line) else "json"
    if columns[:2] == _MOVIELENS_HEADER[:2]:
        return "movielens"
    if columns[:2] == _IMDB_HEADER[:2]:
        return "imdb"
    hint = " These are ratings: use `manage.py ingest_file`." if _holds_ratings(columns) else ""
    raise FormatUnknown(
        name,
        f"this is none of the formats {', '.join(FORMATS)} by its first line; "
        f"if it is one of them, name it with --format.{hint}",
    )


def _table(opened: Input, usual_name: str, cells: Callable[[str], list[str]], header: list[str]) -> Iterator[Row]:
    """The lines under the header. Raises FormatUnknown when there is another header."""
    rows = lines(opened.content)
    first = next(rows, None)
    if first is None:
        return
    if not _is_header(first, cells, header):
        raise FormatUnknown(
            opened.name, f"line {first.line}: the header of {usual_name} should be here: {', '.join(header)}"
        )
    yield from rows


def _is_header(row: Row, cells: Callable[[str], list[str]], header: list[str]) -> bool:
    try:
        return not row.problem and cells(row.text) == header
    except InvalidMovie:
        return False


def _movielens_cells(line: str) -> list[str]:
    """A line's cells; one line at a time, so that a quote left open costs its line and not the rest of the file."""
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise InvalidMovie("", f"the line is not CSV ({error})") from None


def _movielens_draft(text: str) -> MovieDraft:
    cells = _movielens_cells(text)
    if len(cells) != len(_MOVIELENS_HEADER):
        raise InvalidMovie("", f"it has {len(cells)} cells: {len(_MOVIELENS_HEADER)} belong here")
    movie_id, title, genres = cells
    title, year = _title_and_year(title)
    return movie_draft(
        movie_id=movie_id,
        title=title,
        year=year,
        genres=() if genres == _NO_GENRES else _split(genres, "|"),
        carried=_MOVIELENS_FIELDS,
    )


def _title_and_year(text: str) -> tuple[str, int | None]:
    """ "Toy Story (1995)" is a title and a year; a title without one, or with a span of years, stays whole."""
    match = _TITLE_WITH_YEAR.fullmatch(text.strip())
    if match is None or not FIRST_YEAR <= int(match[2]) <= LAST_YEAR:
        return text, None
    return match[1], int(match[2])


def _imdb_cells(line: str) -> list[str]:
    """A line's cells: this format has no quoting."""
    return line.split("\t")


def _imdb_draft_of(title_types: frozenset[str]) -> DraftOf:
    all_types = title_types == ALL_TITLE_TYPES

    def draft_of(text: str) -> MovieDraft | None:
        cells = _imdb_cells(text)
        if len(cells) != len(_IMDB_HEADER):
            raise InvalidMovie("", f"it has {len(cells)} cells: {len(_IMDB_HEADER)} belong here")
        movie_id, title_type, title, _, _, year, _, _, genres = cells
        if not all_types and title_type not in title_types:
            return None
        return movie_draft(
            movie_id=movie_id,
            title=None if title == _IMDB_NULL else title,
            year=None if year == _IMDB_NULL else _whole_number(year),
            genres=() if genres == _IMDB_NULL else _split(genres, ","),
            carried=_IMDB_FIELDS,
        )

    return draft_of


def _json_draft(text: str, *, kind: str) -> MovieDraft:
    """An object of {id, title, description, director, year, genres}: only those that are there are written."""
    content = json_value(text, kind=kind)
    if not isinstance(content, dict):
        raise InvalidMovie("", "it is not a JSON object")
    if unknown := content.keys() - _JSON_DEFAULTS.keys() - {"id", "title"}:
        raise InvalidMovie(min(unknown)[:40], "there is no such field of a movie")
    given = {field: content[field] for field in _JSON_DEFAULTS if field in content}
    # null is "none of it" for every field but the id and the title.
    values = {field: default if given.get(field) is None else given[field] for field, default in _JSON_DEFAULTS.items()}
    return movie_draft(
        movie_id=content.get("id"),
        title=content.get("title"),
        carried=ALL_FIELDS & (given.keys() | {"title"}),
        **values,
    )


def _whole_number(text: str) -> int | None:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise InvalidMovie("year", "it is not a whole number")
    return int(text)


def _split(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _holds_ratings(columns: list[str]) -> bool:
    return columns[:3] == ["userId", "movieId", "rating"] or columns[:2] == ["tconst", "averageRating"]

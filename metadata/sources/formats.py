"""The formats that movies come in: how each is recognised, and what its rows say of a movie."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from metadata.drafts import ALL_FIELDS, MovieDraft, movie_draft
from metadata.errors import InvalidMovie, UnreadableSource
from metadata.models import FIRST_YEAR, LAST_YEAR
from metadata.sources.opening import Source
from metadata.sources.rows import Row, elements, lines

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

DraftOf = Callable[[object], MovieDraft | None]
"""The draft that a row's content stands for, or None for one that is left out. Raises InvalidMovie."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of one source, and what makes a draft of one."""

    format: str
    rows: Iterator[Row]
    draft_of: DraftOf


def read_as(source: Source, *, format_name: str, title_types: frozenset[str]) -> Reading:
    """The source's rows in the format, which AUTO tells by the first bytes. Raises UnreadableSource."""
    if format_name == AUTO:
        format_name = recognised_format(source)
    match format_name:
        case "movielens":
            return Reading(
                format_name, _table(source, "movies.csv", _movielens_cells, _MOVIELENS_HEADER), _movielens_draft
            )
        case "imdb":
            imdb_draft = _imdb_draft_of(title_types)
            return Reading(format_name, _table(source, "title.basics.tsv", _imdb_cells, _IMDB_HEADER), imdb_draft)
        case "ndjson":
            return Reading(format_name, lines(source.content), _ndjson_draft)
        case _:
            return Reading(format_name, elements(source.content, name=source.name), _json_draft)


def recognised_format(source: Source) -> str:
    """The format of the source by its first bytes. Raises UnreadableSource when it is none of them."""
    start = source.first_bytes().removeprefix(b"\xef\xbb\xbf").lstrip()
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
    raise UnreadableSource(
        f"{source.name}: this is none of the formats {', '.join(FORMATS)} by its first line; "
        f"if it is one of them, name it with --format.{hint}"
    )


def _table(source: Source, usual_name: str, cells: Callable[[str], list[str]], header: list[str]) -> Iterator[Row]:
    """The lines under the header. Raises UnreadableSource when there is another header."""
    rows = lines(source.content)
    first = next(rows, None)
    if first is None:
        return
    if first.problem or cells(str(first.content)) != header:
        raise UnreadableSource(
            f"{source.name}, line {first.line}: the header of {usual_name} should be here: {', '.join(header)}."
        )
    yield from rows


def _movielens_cells(line: str) -> list[str]:
    """A line's cells; one line at a time, so that a quote left open costs its line and not the rest of the file."""
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise InvalidMovie("", f"the line is not CSV ({error})") from None


def _movielens_draft(content: object) -> MovieDraft:
    cells = _movielens_cells(str(content))
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

    def draft_of(content: object) -> MovieDraft | None:
        cells = _imdb_cells(str(content))
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


def _ndjson_draft(content: object) -> MovieDraft:
    try:
        value = json.loads(str(content))
    except json.JSONDecodeError as error:
        raise InvalidMovie("", f"the line is not JSON (character {error.pos})") from None
    except (ValueError, RecursionError):
        raise InvalidMovie("", "the line is not JSON that can be read (too deep, or too long a number)") from None
    return _json_draft(value)


def _json_draft(content: object) -> MovieDraft:
    """An object of {id, title, description, director, year, genres}: only those that are there are written."""
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

"""Tables with a header: our own CSV columns, MovieLens' ratings.csv and IMDb's title.ratings.tsv."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from movieapp.inputs.errors import FormatUnknown
from movieapp.inputs.lines import numbered_lines
from ratings.errors import InvalidRating
from ratings.events import RatingEvent, rating_event
from workers.ingestion.sending.files.events import LONGEST, TOO_LONG, Defaults, FileEvents, Rejection
from workers.ingestion.sending.files.scale import Scale, tenths_of_text

_CACHED_VALUES = 1_000
_MOVIE = "movie"


@dataclass(frozen=True, slots=True)
class Table:
    """Which columns of a kind of table hold what, and what stands for the columns that it does not have."""

    name: str
    columns: dict[str, str]
    required: tuple[str, ...]
    provider: str = ""
    user: str = ""
    quoted: bool = True
    delimiters: str = ",;\t"


CSV = Table(
    name="csv",
    columns={
        "recordid": "recordId",
        "recordtype": "recordType",
        "userid": "userId",
        "providerid": "providerId",
        "ratingvalue": "ratingValue",
        "value": "ratingValue",
        "rating": "ratingValue",
        "eventtype": "eventType",
    },
    required=("recordId", "userId", "ratingValue"),
)
MOVIELENS = Table(
    name="movielens",
    columns={"userid": "userId", "movieid": "recordId", "rating": "ratingValue"},
    required=("userId", "recordId", "ratingValue"),
    provider="movielens",
    delimiters=",",
)
IMDB = Table(
    name="imdb",
    columns={"tconst": "recordId", "averagerating": "ratingValue"},
    required=("recordId", "ratingValue"),
    provider="imdb",
    user="imdb",
    quoted=False,
    delimiters="\t",
)
_HEADERS = {
    "csv": "recordId,userId,ratingValue and, where wanted, recordType, providerId, eventType",
    "movielens": "userId,movieId,rating,timestamp",
    "imdb": "tconst, averageRating, numVotes, separated by tabs",
}


def header_fits(line: str, table: Table) -> bool:
    """Whether this first line names all the columns that the table needs."""
    found = {table.columns.get(_plain(cell)) for cell in _cells(line, table)}
    return found.issuperset(table.required)


def table_events(
    stream: io.BufferedIOBase, name: str, *, table: Table, defaults: Defaults, start_at: int
) -> FileEvents:
    """The events of the rows that begin at line `start_at` or later. Raises FormatUnknown for another header."""
    lines = _TextLines(stream)
    header = next((line for line in lines if line.strip()), None)
    if header is None:
        return
    to_event = _row_reader(header, name, table, defaults)
    columns = len(_cells(header, table))
    rows = csv.reader(lines, delimiter=_delimiter(header, table), quoting=_quoting(table), strict=True)
    while True:
        first = lines.number + 1
        try:
            row = next(rows)
        except StopIteration:
            yield from _too_long(lines, start_at)
            return
        except csv.Error as error:
            yield from _too_long(lines, start_at)
            yield first, Rejection(first, f"lines {first} to {lines.number} are no row: {error}")
            continue
        line = first
        if lines.too_long:
            yield from _too_long(lines, start_at)
            line = lines.number
        if not row or line < start_at:
            continue
        if len(row) != columns:
            yield line, Rejection(line, f"it has {_count(len(row))} where the header has {columns}")
            continue
        try:
            event = to_event(row)
        except InvalidRating as invalid:
            yield line, Rejection(line, _not_utf8(row) or str(invalid))
        else:
            yield line, event


class _TextLines(Iterator[str]):
    """Lines as text, with the number of the last one; those that are too long are left out and noted."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._lines = numbered_lines(stream, longest=LONGEST)
        self.number = 0
        self.too_long: list[int] = []

    def __next__(self) -> str:
        for number, line in self._lines:
            self.number = number
            if line is None:
                self.too_long.append(self.number)
            else:
                # Bytes that are not UTF-8 survive as surrogates, which no id may have.
                return line.decode("utf-8", "surrogateescape") + "\n"
        raise StopIteration


def _too_long(lines: _TextLines, start_at: int) -> FileEvents:
    for number in lines.too_long:
        if number >= start_at:
            yield number, Rejection(number, TOO_LONG)
    lines.too_long.clear()


def _row_reader(header: str, name: str, table: Table, defaults: Defaults) -> Callable[[Sequence[str]], RatingEvent]:
    """A function from a row's cells to its event, which raises InvalidRating."""
    places = _places(header, name, table)
    record_at, value_at = places["recordId"], places["ratingValue"]
    user_at, type_at = places.get("userId"), places.get("recordType")
    provider_at, kind_at = places.get("providerId"), places.get("eventType")
    provider = defaults.provider or table.provider
    tenths_by_text: dict[str, int] = {}

    def to_event(row: Sequence[str]) -> RatingEvent:
        tenths: int | None
        if kind_at is not None and _is_delete(row[kind_at]):
            tenths = None
        else:
            text = row[value_at]
            tenths = tenths_by_text.get(text)
            if tenths is None:
                tenths = _tenths(text, defaults.scale, tenths_by_text)
        return rating_event(
            record_type=(row[type_at] if type_at is not None else "") or _MOVIE,
            record_id=row[record_at],
            provider_id=(row[provider_at] if provider_at is not None else "") or provider,
            user_id=row[user_at] if user_at is not None else table.user,
            tenths=tenths,
        )

    return to_event


def _tenths(text: str, scale: Scale | None, known: dict[str, int]) -> int:
    tenths = tenths_of_text(text, scale)
    if len(known) < _CACHED_VALUES:
        known[text] = tenths
    return tenths


def _is_delete(text: str) -> bool:
    kind = text.strip()
    if kind in ("put", ""):
        return False
    if kind == "delete":
        return True
    raise InvalidRating("eventType", 'it is neither "put" nor "delete"')


def _places(header: str, name: str, table: Table) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, cell in enumerate(_cells(header, table)):
        field = table.columns.get(_plain(cell))
        if field in places:
            raise FormatUnknown(name, f"its header has two columns for {field}; keep one of them")
        if field is not None:
            places[field] = place
    missing = [field for field in table.required if field not in places]
    if missing:
        wanted = _HEADERS[table.name]
        raise FormatUnknown(
            name, f"its first line has no column for {', '.join(missing)}; format {table.name} wants a header: {wanted}"
        )
    return places


def _cells(line: str, table: Table) -> list[str]:
    line = line.rstrip("\r\n")
    try:
        return next(csv.reader([line], delimiter=_delimiter(line, table), quoting=_quoting(table)), [])
    except csv.Error:
        return []


def _delimiter(header: str, table: Table) -> str:
    return max(table.delimiters, key=header.count)


def _quoting(table: Table) -> Literal[0, 3]:
    return csv.QUOTE_MINIMAL if table.quoted else csv.QUOTE_NONE


def _plain(cell: str) -> str:
    """recordId, record_id and "Record ID" are the same column."""
    return cell.strip().lower().replace("_", "").replace(" ", "").replace("-", "")


def _count(cells: int) -> str:
    return "1 column" if cells == 1 else f"{cells} columns"


def _not_utf8(row: Sequence[str]) -> str:
    if any("\udc80" <= character <= "\udcff" for cell in row for character in cell):
        return "the line is not UTF-8"
    return ""

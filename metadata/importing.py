"""Takes files of movies into the database: in batches, in flat memory, naming what it had to reject."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from django.db import OperationalError

from metadata.drafts import MovieDraft
from metadata.errors import InvalidMovie
from metadata.services import MoviesWritten, movies_put
from metadata.sources.formats import Reading, read_as
from metadata.sources.rows import Row
from movieapp.inputs.errors import InputError
from movieapp.inputs.opening import Input, open_input
from movieapp.progress import Meter

SHOWN_REJECTIONS = 20
"""How many rejected rows a report names; the others are counted."""


class Outcome(Enum):
    """How an import ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import. `batch_size` is movies per transaction; `title_types` matters for IMDb's file only."""

    paths: tuple[str, ...]
    format_name: str
    title_types: frozenset[str]
    stop_on_error: bool
    batch_size: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not taken, and why."""

    source: str
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, {self.place}: {self.reason}"


@dataclass(slots=True)
class ImportReport:
    """What an import did. All that is counted in `written` is committed, however it ended."""

    read: int = 0
    left_out: int = 0
    rejected: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    written: MoviesWritten = field(default_factory=MoviesWritten)
    outcome: Outcome = Outcome.COMPLETE
    reason: str = ""


class _FirstRejection(Exception):
    """Ends an import that stops at the first rejected row."""


def movies_import(request: ImportRequest, *, meter: Meter) -> ImportReport:
    """Imports the sources one after the other; `meter` is told of the rows read in all after each batch.

    Batches are committed one by one, and what was read before an error or an interruption is written too. Every
    write is idempotent: running it again goes on from any state.
    """
    report = ImportReport()
    try:
        for path in request.paths:
            with open_input(path) as opened:
                _import_one(opened, request, report, meter)
    except _FirstRejection as rejection:
        report.outcome, report.reason = Outcome.STOPPED, f"it stops at the first rejected row: {rejection}"
    except InputError as error:
        report.outcome, report.reason = Outcome.STOPPED, str(error)
    except OperationalError as error:
        report.outcome, report.reason = Outcome.STOPPED, f"the database failed: {str(error).strip()}"
    except KeyboardInterrupt:
        report.outcome, report.reason = Outcome.INTERRUPTED, "interrupted; running it again goes on"
    return report


def _import_one(opened: Input, request: ImportRequest, report: ImportReport, meter: Meter) -> None:
    rows = read_as(opened, format_name=request.format_name, title_types=request.title_types)
    title = f"{opened.name} ({rows.format})"

    def write(batch: list[MovieDraft]) -> None:
        report.written += movies_put(batch)
        batch.clear()
        meter.update(count=report.read, share=opened.source.share, title=title)

    batch: list[MovieDraft] = []
    with _written_at_the_end(batch, write):
        for draft in _drafts(rows, opened.name, request, report):
            batch.append(draft)
            if len(batch) >= request.batch_size:
                write(batch)


@contextmanager
def _written_at_the_end(batch: list[MovieDraft], write: Callable[[list[MovieDraft]], None]) -> Iterator[None]:
    """Writes what is left in the batch, also when the reading ends early; not when the writing itself failed."""
    try:
        yield
    except (_FirstRejection, InputError):
        write(batch)
        raise
    write(batch)


def _drafts(rows: Reading, source: str, request: ImportRequest, report: ImportReport) -> Iterator[MovieDraft]:
    for row in rows.rows:
        report.read += 1
        try:
            draft = _draft_of(row, rows)
        except InvalidMovie as error:
            rejection = Rejection(source, row.place, str(error))
            report.rejected += 1
            if len(report.rejections) < SHOWN_REJECTIONS:
                report.rejections.append(rejection)
            if request.stop_on_error:
                raise _FirstRejection(str(rejection)) from None
            continue
        if draft is None:
            report.left_out += 1
        else:
            yield draft


def _draft_of(row: Row, rows: Reading) -> MovieDraft | None:
    if row.problem:
        raise InvalidMovie("", row.problem)
    return rows.draft_of(row.text)

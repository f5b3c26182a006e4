"""What an import shows: its progress on standard error, and its report at the end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from metadata.importing import ImportProgress, ImportReport, Outcome

_SECONDS_BETWEEN_LINES = 5.0
_EXIT_STOPPED = 1
_EXIT_REJECTED = 3
_EXIT_INTERRUPTED = 130

OnProgress = Callable[[ImportProgress], None]


class Output(Protocol):
    """Where the report goes: a command's stdout or stderr."""

    def write(self, msg: str) -> object:
        """Writes the text and ends the line."""


def exit_code(report: ImportReport) -> int:
    """The process's exit code for this report."""
    if report.outcome is Outcome.INTERRUPTED:
        return _EXIT_INTERRUPTED
    if report.outcome is Outcome.STOPPED:
        return _EXIT_STOPPED
    return _EXIT_REJECTED if report.rejected else 0


def print_report(report: ImportReport, *, output: Output, errors: Output) -> None:
    """The counts to `output`; what was rejected, and why it ended early, to `errors`."""
    for rejection in report.rejections:
        errors.write(f"rejected: {rejection}")
    if report.rejected > len(report.rejections):
        errors.write(f"rejected: and {report.rejected - len(report.rejections)} more")
    counts = {
        "read": report.read,
        "created": report.written.created,
        "changed": report.written.changed,
        "unchanged": report.written.unchanged,
        "repeated": report.written.repeated,
        "left out": report.left_out,
        "rejected": report.rejected,
    }
    output.write("movies: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if report.outcome is not Outcome.COMPLETE:
        errors.write(f"{report.outcome.value}: {report.reason}")


@contextmanager
def progress_shown(*, quiet: bool) -> Iterator[OnProgress]:
    """A bar on a terminal, a plain line every few seconds elsewhere, nothing when quiet; on standard error."""
    console = Console(stderr=True)
    if quiet:
        yield lambda progress: None
    elif console.is_terminal:
        with _bar(console) as on_progress:
            yield on_progress
    else:
        yield _plain_lines()


@contextmanager
def _bar(console: Console) -> Iterator[OnProgress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, object] = {}

        def on_progress(progress: ImportProgress) -> None:
            if progress.source not in tasks:
                description = f"{progress.source} ({progress.format})"
                tasks[progress.source] = bar.add_task(description, total=progress.size, rows=0, rate=0.0)
            rate = progress.rows / max(time.monotonic() - started, 0.001)
            bar.update(tasks[progress.source], completed=progress.position, rows=progress.rows, rate=rate)  # type: ignore[arg-type]

        yield on_progress


def _plain_lines() -> OnProgress:
    started = last_shown = time.monotonic()

    def on_progress(progress: ImportProgress) -> None:
        nonlocal last_shown
        now = time.monotonic()
        if now - last_shown < _SECONDS_BETWEEN_LINES:
            return
        last_shown = now
        share = f"{progress.position / progress.size:.0%}, " if progress.size else ""
        rate = progress.rows / (now - started)
        sys.stderr.write(f"{progress.source}: {share}{progress.rows} rows, {rate:.0f}/s\n")
        sys.stderr.flush()

    return on_progress

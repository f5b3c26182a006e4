"""Shows how far a long command is: a bar on a terminal, a plain line every few seconds anywhere else."""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

_LINE_EVERY = 5.0
_LOOK_EVERY = 0.1
_RATE_OVER = 5.0
_ROOM_FOR_ALL = 110  # columns


class Meter(Protocol):
    """What a command tells while it works. Cheap enough for every few thousand events."""

    def update(
        self, *, count: int, share: float | None = None, title: str | None = None, lag: int | None = None
    ) -> None:
        """`count` things are done in all; `share` is how much of the whole that is, from 0 to 1, where known.

        `lag` is how many are still to be done, for those who count them.
        """

    def say(self, text: str) -> None:
        """A line of its own."""


@contextmanager
def shown_progress(
    *, title: str, unit: str, stream: TextIO, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Meter]:
    """A Meter on `stream`, which commands give their standard error: their standard output is for results.

    `unit` is the plural of what is counted; `quiet` shows nothing. The rate is that of the last few seconds. What is
    logged to the same terminal meanwhile appears above the bar.
    """
    if quiet:
        yield _Silent()
        return
    if not stream.isatty():
        yield _Lines(title=title, unit=unit, stream=stream, clock=clock)
        return
    console = Console(file=stream)
    columns = (
        TextColumn("{task.description}", style="bold", markup=False),  # a path may look like markup
        BarColumn(bar_width=None, table_column=Column(max_width=40)),  # gives way to the words
        TaskProgressColumn(),
        TextColumn("{task.fields[counted]}"),
        *([_Elapsed(_whole())] if console.width >= _ROOM_FOR_ALL else []),
        _Left(_whole()),
    )
    shown = Progress(*columns, console=console, transient=True, refresh_per_second=5, get_time=clock)
    with shown as progress, _logs_above(stream):
        yield _Bar(progress, title=title, unit=unit, clock=clock)


def _whole() -> Column:
    return Column(no_wrap=True)


class _Elapsed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{_spoken(task.elapsed or 0)} elapsed", style="progress.elapsed")


class _Left(ProgressColumn):
    """Blank while nobody can tell."""

    def render(self, task: Task) -> Text:
        seconds = task.time_remaining
        return Text("" if seconds is None else f"{_spoken(seconds)} left", style="progress.remaining")


@contextmanager
def _logs_above(stream: TextIO) -> Iterator[None]:
    """While a bar lives, sys.stderr writes above it; log handlers still have the stream from before."""
    moved = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream
    ]
    for handler in moved:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in moved:
            handler.setStream(stream)


class _Silent:
    def update(
        self, *, count: int, share: float | None = None, title: str | None = None, lag: int | None = None
    ) -> None:
        """Not shown."""

    def say(self, text: str) -> None:
        """Not shown."""


class _Bar:
    def __init__(self, progress: Progress, *, title: str, unit: str, clock: Callable[[], float]) -> None:
        self._progress = progress
        self._unit = unit
        self._clock = clock
        self._next_look = clock()
        self._past = deque([(self._next_look, 0)])
        self._task = progress.add_task(title, total=None, counted="")

    def update(
        self, *, count: int, share: float | None = None, title: str | None = None, lag: int | None = None
    ) -> None:
        now = self._clock()
        if now < self._next_look and title is None:
            return
        self._next_look = now + _LOOK_EVERY
        counted = f"{count:,} {self._unit}, {self._rate(now, count):,.0f}/s{_spoken_lag(lag)}"
        if share is not None:
            self._progress.update(self._task, total=1.0, completed=share)
        if title is not None:
            self._progress.update(self._task, description=title)
        self._progress.update(self._task, counted=counted)

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def _rate(self, now: float, count: int) -> float:
        self._past.append((now, count))
        while len(self._past) > 2 and self._past[1][0] <= now - _RATE_OVER:
            self._past.popleft()
        since, before = self._past[0]
        return (count - before) / max(now - since, 0.001)


class _Lines:
    def __init__(self, *, title: str, unit: str, stream: TextIO, clock: Callable[[], float]) -> None:
        self._title = title
        self._unit = unit
        self._stream = stream
        self._clock = clock
        self._start = self._last_time = clock()
        self._last_count = 0

    def update(
        self, *, count: int, share: float | None = None, title: str | None = None, lag: int | None = None
    ) -> None:
        self._title = title or self._title
        now = self._clock()
        passed = now - self._last_time
        if passed < _LINE_EVERY:
            return
        rate = (count - self._last_count) / passed
        self._last_time, self._last_count = now, count
        left = "" if not share else f", {share:.0%}, about {_spoken((now - self._start) * (1 / share - 1))} left"
        self.say(f"{self._title}: {count:,} {self._unit}, {rate:,.0f}/s{_spoken_lag(lag)}{left}")

    def say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def _spoken_lag(lag: int | None) -> str:
    return "" if lag is None else f", lag {lag:,}"


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"

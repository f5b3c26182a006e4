"""Shows what is being done while it is done, and how long it took."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from movieapp.devstack.errors import StopRequested


class Step:
    """One thing that is being done; several may go on at once."""

    def __init__(self, progress: Progress, task: TaskID, title: str) -> None:
        self.result = title
        self._progress = progress
        self._task = task
        self._title = title
        self._told = time.monotonic()

    def downloading(self, done: int, total: int) -> None:
        """Shows how many of the files have arrived; on something that is no terminal, a line every few seconds."""
        text = f"{self._title}: downloaded {done} of {total} files"
        self._progress.update(self._task, description=text)
        if not self._progress.console.is_terminal and (done in (0, total) or time.monotonic() - self._told > 3):
            self._told = time.monotonic()
            self._progress.console.print(f"  {escape(text)}", highlight=False, soft_wrap=True)


class Steps:
    """The steps of one start, safe to use from several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._lock = threading.Lock()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draws the spinners for the block, where the console is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._progress:
            yield

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Shows `title` while the block runs, then the step's `result` and the seconds it took."""
        began = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"  {escape(title)} …", highlight=False, soft_wrap=True)
        with self._lock:
            task = self._progress.add_task(escape(title), total=None)
        step = Step(self._progress, task, title)
        mark = "[green]✓[/]"
        try:
            yield step
        except StopRequested:
            mark = ""
            raise
        except BaseException:
            mark, step.result = "[red]✗[/]", title
            raise
        finally:
            with self._lock:
                self._progress.remove_task(task)
            if mark:
                took = f"[dim]{time.monotonic() - began:.1f} s[/]"
                self._console.print(f"{mark} {escape(step.result)} {took}", highlight=False, soft_wrap=True)

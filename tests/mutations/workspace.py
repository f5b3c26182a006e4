"""A copy of the work tree in which faults are planted and tests run, beside others on the same servers."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from movieapp.devstack.layout import PROJECT_ROOT
from tests.mutations.leftovers import MARK, end_leftovers
from tests.mutations.mutation import Mutation
from tests.mutations.outcomes import OPTION, Outcome, read_outcomes

_VENV = ".venv"
_STRAY = ("PYTHONPATH", "PYTEST_ADDOPTS")


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one run of pytest; `code` is None when it did not end in time and was killed."""

    code: int | None
    failures: Sequence[Outcome]
    seconds: float
    output: str


class Workspace:
    """One copy; for one thread, but for `kill`."""

    def __init__(self, folder: Path, *, number: int) -> None:
        self._root = folder / f"tree-{number}"
        self._outcomes = folder / f"outcomes-{number}"
        self._number = number
        self._mark = uuid.uuid4().hex
        self._databases = 0
        self._running: subprocess.Popen[bytes] | None = None
        _copy_tree(self._root)

    @contextmanager
    def planted(self, mutation: Mutation) -> Iterator[None]:
        """The fault stands in the copy for the block. Raises DoesNotApply."""
        file = self._root / mutation.path
        mutated = mutation.mutated(self._root)
        original = file.read_text()
        _write(file, mutated)
        try:
            yield
        finally:
            _write(file, original)

    def run(self, tests: Sequence[str], *, options: Sequence[str] = (), patience: float) -> Run:
        """Runs these tests in the copy, alone and in their order; kills them after `patience` seconds.

        Nothing that they have started runs any more afterwards. `options` are pytest's.
        """
        self._outcomes.unlink(missing_ok=True)
        began = time.monotonic()
        log = self._outcomes.with_suffix(".log")
        with log.open("wb") as output:
            self._running = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pytest", "-q", "--tb=short", "--reuse-db", "--hypothesis-seed=0"),
                    *("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "tests.mutations.outcomes"),
                    f"{OPTION}={self._outcomes}",
                    *options,
                    *tests,
                ],
                cwd=self._root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code: int | None = self._running.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
                self._running.wait()
                self._databases += 1  # what it left in its database is nobody's business
                code = None
            end_leftovers(self._mark)
        return Run(code, read_outcomes(self._outcomes), time.monotonic() - began, log.read_text(errors="replace"))

    def kill(self) -> None:
        """Ends a run, with whatever it has started."""
        running = self._running
        if running is not None and running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        end_leftovers(self._mark)

    def _environment(self) -> dict[str, str]:
        """This run's servers, and a database of its own in them; pytest-django makes it and keeps it."""
        environment = {name: value for name, value in os.environ.items() if name not in _STRAY}
        name = f"mutations_{self._number}_{self._databases}"
        url = urlsplit(environment["DATABASE_URL"])._replace(path=f"/{name}").geturl()
        return {**environment, "DATABASE_URL": url, MARK: self._mark}


def _write(file: Path, text: str) -> None:
    """Without what Python has compiled of it: within a second, and of the same length, it would not notice."""
    file.write_text(text)
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def _copy_tree(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        check=True,
    )
    for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
        source, copy = PROJECT_ROOT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    if (PROJECT_ROOT / _VENV).exists():
        (target / _VENV).symlink_to(PROJECT_ROOT / _VENV)

"""Plants each fault by itself and runs the tests that must find it; before that, the same tests without any fault."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.mutations.mutation import DoesNotApply, Mutation
from tests.mutations.workspace import Run, Workspace

_PATIENCE = 300.0
_BASELINE_PATIENCE = 1_800.0
# Such an error says that the catalogue's new text is no code, and nothing about the test.
_NO_CODE = frozenset({"SyntaxError", "IndentationError", "NameError", "UnboundLocalError", "ImportError"})


class Verdict(StrEnum):
    """What became of a mutation; only the first is as it should be."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    DOES_NOT_APPLY = "DOES NOT APPLY"
    FAILS_WITHOUT = "FAILS WITHOUT IT"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Result:
    """One mutation's verdict; `words` are the tests that found it, or what is wrong."""

    mutation: Mutation
    verdict: Verdict
    seconds: float
    words: str


@dataclass(frozen=True, slots=True)
class _Share:
    """Tests that run in one pytest."""

    options: tuple[str, ...]
    tests: Sequence[str]


class Runner:
    """Runs mutations in `jobs` copies of the work tree at once, on the servers of this run (see fixtures.stack)."""

    def __init__(self, folder: Path, *, jobs: int) -> None:
        self._all = [Workspace(folder, number=number) for number in range(jobs)]
        self._free: SimpleQueue[Workspace] = SimpleQueue()
        for workspace in self._all:
            self._free.put(workspace)
        self._stopping = threading.Event()

    def failing_without(self, mutations: Sequence[Mutation]) -> dict[str, str]:
        """The named tests that fail though no fault is planted, each with the reason."""
        shares = list(_shares(mutations, number=len(self._all)))
        failing: dict[str, str] = {}
        with self._threads() as threads:
            for share, run in zip(shares, threads.map(self._baseline, shares), strict=True):
                reasons = {test: _failure_of(test, run) for test in share.tests}
                if run.code not in (0, 1) or (run.code == 1 and not any(reasons.values())):
                    reasons = dict.fromkeys(share.tests, _last_lines(run))
                failing |= {test: reason for test, reason in reasons.items() if reason}
        return failing

    def run(
        self, mutations: Sequence[Mutation], *, failing: dict[str, str], tell: Callable[[Result], None]
    ) -> list[Result]:
        """Each mutation's result, told as they come."""

        def one(mutation: Mutation) -> Result:
            result = self._result(mutation, failing)
            if not self._stopping.is_set():
                tell(result)
            return result

        with self._threads() as threads:
            return list(threads.map(one, mutations))

    def stop(self) -> None:
        """Ends what is running and begins nothing more."""
        self._stopping.set()
        for workspace in self._all:
            workspace.kill()

    def _baseline(self, share: _Share) -> Run:
        with self._workspace() as workspace:
            return workspace.run(share.tests, options=share.options, patience=_BASELINE_PATIENCE)

    def _result(self, mutation: Mutation, failing: dict[str, str]) -> Result:
        known = [f"{test}: {failing[test]}" for test in mutation.tests if test in failing]
        if known or self._stopping.is_set():
            return Result(mutation, Verdict.FAILS_WITHOUT, 0.0, "; ".join(known))
        try:
            with self._workspace() as workspace, workspace.planted(mutation):
                run = workspace.run(mutation.tests, options=mutation.options, patience=_PATIENCE)
        except DoesNotApply as reason:
            return Result(mutation, Verdict.DOES_NOT_APPLY, 0.0, str(reason))
        return judged(mutation, run)

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """A thread for each copy; Ctrl-C does not wait for what they run."""
        with ThreadPoolExecutor(len(self._all)) as threads:
            try:
                yield threads
            except BaseException:
                self.stop()
                raise

    @contextmanager
    def _workspace(self) -> Iterator[Workspace]:
        workspace = self._free.get()
        try:
            yield workspace
        finally:
            self._free.put(workspace)


@contextmanager
def runner(*, jobs: int) -> Iterator[Runner]:
    """A Runner whose copies are removed after the block; what runs is ended when the block is left by an error."""
    with TemporaryDirectory(prefix="movieapp-mutations-") as folder:
        made = Runner(Path(folder), jobs=jobs)
        try:
            yield made
        finally:
            made.stop()


def judged(mutation: Mutation, run: Run) -> Result:
    """What a run of the mutation's tests, with the fault in place, says about it."""
    if run.code is None:
        return Result(mutation, Verdict.BROKEN, run.seconds, f"did not end within {_PATIENCE:g} s")
    if run.code not in (0, 1):
        return Result(mutation, Verdict.BROKEN, run.seconds, f"pytest ended with {run.code}: {_last_lines(run)}")
    alive = [test for test in mutation.tests if not _failures_in_call(test, run)]
    if alive:
        elsewhere = "".join(f"; {one.stage} of {one.test}: {one.error}: {one.message}" for one in run.failures[:2])
        return Result(mutation, Verdict.SURVIVED, run.seconds, f"passed: {', '.join(alive)}{elsewhere}")
    no_code = [one for one in run.failures if one.error in _NO_CODE]
    if no_code:
        return Result(mutation, Verdict.BROKEN, run.seconds, f"{no_code[0].error}: {no_code[0].message}")
    return Result(mutation, Verdict.KILLED, run.seconds, ", ".join(mutation.tests))


def _shares(mutations: Sequence[Mutation], *, number: int) -> Iterator[_Share]:
    """All the tests: those with options together, since not each of them knows the options, the others in parts."""
    for options in sorted({mutation.options for mutation in mutations}, reverse=True):
        tests = sorted({test for mutation in mutations if mutation.options == options for test in mutation.tests})
        parts = [tests] if options else [tests[first::number] for first in range(number)]
        yield from (_Share(options, part) for part in parts if part)


def _failures_in_call(test: str, run: Run) -> list[str]:
    """Errors of the test itself, or of one of its parameters."""
    return [one.error for one in run.failures if _is_of(one.test, test) and one.stage == "call"]


def _failure_of(test: str, run: Run) -> str:
    return next((f"{one.error}: {one.message}" for one in run.failures if _is_of(one.test, test)), "")


def _is_of(node: str, test: str) -> bool:
    return node == test or node.startswith(f"{test}[")


def _last_lines(run: Run) -> str:
    return " / ".join(line for line in run.output.strip().splitlines()[-6:] if line.strip())

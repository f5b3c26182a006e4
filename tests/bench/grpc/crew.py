"""The processes that call: started once, given one task after the other."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from movieapp.devstack.errors import tail
from movieapp.devstack.layout import PROJECT_ROOT
from tests.bench.grpc.errors import CallerFailed

MOST = 4
"""Processes; a caller more than that shares one."""


class Worker:
    """One process of callers."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.grpc.worker"],
                cwd=PROJECT_ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._popen.pid

    def tell(self, line: Mapping[str, Any]) -> None:
        """Sends a line."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(f"{json.dumps(line)}\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise CallerFailed(f"a process of callers has ended: {tail(self._log)}") from None

    def hear(self) -> dict[str, Any]:
        """The next line. Raises CallerFailed when it tells of an error, or when none comes any more."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise CallerFailed(f"a process of callers has ended: {tail(self._log)}")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise CallerFailed(said["error"])
        return said

    def stop(self) -> None:
        """Ends it."""
        self._popen.kill()
        self._popen.communicate()


@contextmanager
def crew_running(environment: Mapping[str, str], folder: Path) -> Iterator[Sequence[Worker]]:
    """`MOST` workers, for the block."""
    workers: list[Worker] = []
    try:
        workers.extend(Worker(environment, folder / f"worker-{number}.log") for number in range(MOST))
        yield workers
    finally:
        for worker in workers:
            worker.stop()

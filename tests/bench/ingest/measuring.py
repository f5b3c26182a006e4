"""Runs one process and takes its time, its CPU and its memory."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.errors import tail
from movieapp.devstack.layout import PROJECT_ROOT
from tests.bench.ingest.errors import VariantFailed
from tests.bench.ingest.memory_use import PeakMemory

_LOOK_EVERY_S = 0.02
_WITHIN_S = 3_600
_END_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. `rate` in events a second, from the process's start until the last event is committed.

    `steady` counts from the first commit to the last, without what the first one brought; None where there was one
    commit or none. CPU is user and system time of the process and its children, in seconds; `peak` the memory of them
    all in bytes, None where the system does not tell.
    """

    rate: float
    steady: float | None
    cpu_seconds: float
    peak: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where its words go."""

    arguments: Sequence[str]
    environment: dict[str, str]
    log: Path


def measure_until(program: Program, *, applied: Callable[[], int], total: int, end: bool) -> Figures:
    """Runs the program until `applied()` says `total`; with `end` it is then asked to end, else it ends by itself.

    Raises VariantFailed when it ends earlier, or with an error.
    """
    process = _Process(program)
    try:
        first: tuple[float, int] | None = None
        while (count := applied()) < total:
            now = time.monotonic()
            if count and first is None:
                first = (now, count)
            if process.has_ended() and applied() < total:
                raise VariantFailed(f"{program.arguments[0]} ended after {applied():,} events: {tail(program.log)}")
            if now - process.began > _WITHIN_S:
                raise VariantFailed(f"{count:,} of {total:,} events within {_WITHIN_S} s: {tail(program.log)}")
            process.memory.look()
            time.sleep(_LOOK_EVERY_S)
        done = time.monotonic()
        usage = process.end(asked=end)
    finally:
        process.kill()
    steady = (total - first[1]) / (done - first[0]) if first else None
    return _figures(process, usage, rate=total / (done - process.began), steady=steady)


def measure_whole(program: Program, *, total: int) -> Figures:
    """Runs the program to its end, which is when its `total` events are done."""
    process = _Process(program)
    try:
        usage = process.end(asked=False, within_s=_WITHIN_S)
    finally:
        process.kill()
    return _figures(process, usage, rate=total / (time.monotonic() - process.began))


def measure_told(program: Program, *, total: int) -> Figures:
    """Runs a program that measures a part of itself, without its start: both rates are that one.

    Its last line is JSON of `events`, `seconds` and `cpu_seconds`.
    """
    process = _Process(program)
    try:
        process.end(asked=False, within_s=_WITHIN_S)
    finally:
        process.kill()
    told = json.loads(program.log.read_text().splitlines()[-1])
    done = told["events"]
    rate = done / told["seconds"]
    return Figures(rate, rate, told["cpu_seconds"] * total / done, process.memory.bytes)


def _figures(
    process: "_Process", usage: resource.struct_rusage, *, rate: float, steady: float | None = None
) -> Figures:
    return Figures(rate, steady, usage.ru_utime + usage.ru_stime, process.memory.bytes)


class _Process:
    """A program in a session of its own, whose use of the machine is told when it has ended."""

    def __init__(self, program: Program) -> None:
        self._program = program
        with program.log.open("wb") as log:
            self.began = time.monotonic()
            self._popen = subprocess.Popen(
                program.arguments,
                cwd=PROJECT_ROOT,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.memory = PeakMemory(self._popen.pid)

    def has_ended(self) -> bool:
        """Without taking its exit code: `end` does."""
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self, *, asked: bool, within_s: float = _END_WITHIN_S) -> resource.struct_rusage:
        """What it and its children have used. Raises VariantFailed for an error, or if it does not end."""
        if asked:
            os.kill(self._popen.pid, signal.SIGTERM)
        deadline = time.monotonic() + within_s
        while not self.has_ended():
            self.memory.look()
            if time.monotonic() > deadline:
                raise VariantFailed(f"{self._program.arguments[0]} does not end: {tail(self._program.log)}")
            time.sleep(_LOOK_EVERY_S)
        _, status, usage = os.wait4(self._popen.pid, 0)
        self._popen.returncode = code = os.waitstatus_to_exitcode(status)
        if code and not asked:
            raise VariantFailed(f"{self._program.arguments[0]} ended with {code}: {tail(self._program.log)}")
        return usage

    def kill(self) -> None:
        """Whatever of its session is left."""
        if self._popen.returncode is None:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

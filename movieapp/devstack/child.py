"""One child process: its own session, its output in a log file, dead when we die, and stopped whole."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from movieapp.devstack.errors import ProcessFailed
from movieapp.devstack.identity import ProcessIdentity, identity_of

# The kernel's death signal fires when the *thread* that forked ends, so all children are forked by one that lasts.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")
_TIED_EXEC = Path(__file__).with_name("tied_exec.py")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to start, and how it likes to be stopped (`stop_signal`, then SIGKILL after `patience_s`)."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None
    user: str = "-"
    stop_signal: signal.Signals = signal.SIGTERM
    patience_s: float = 15.0
    pass_fds: tuple[int, ...] = ()


class Child:
    """A running command. Its log is started anew; the one before it is kept as `.1`."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.started = time.monotonic()
        self._process = _forker.submit(_start, command).result()
        # Several threads look and one reaps. Re-entrant: a signal's handler may kill what its own thread looks at.
        self._lock = threading.RLock()

    @property
    def pid(self) -> int:
        """Of the leader, which is also the id of its session."""
        return self._process.pid

    @property
    def identity(self) -> ProcessIdentity:
        """Of the leader of the child's session; its start time is empty when it has ended already."""
        return identity_of(self.pid) or ProcessIdentity(self.pid, "")

    def poll(self) -> int | None:
        """The exit code (negative: a signal's number), None while it runs; its session does not outlive the leader."""
        with self._lock:
            if self._process.returncode is None and self._has_ended():
                self._kill_session()
                # Not by Popen.wait: the lock that it takes is not re-entrant.
                self._process.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return self._process.returncode

    def signal(self, signum: signal.Signals) -> None:
        """Sends a signal to the leader; nothing happens when it has ended."""
        with self._lock:
            if self.poll() is None:
                os.kill(self.pid, signum)

    def stop(self) -> int:
        """Asks, waits, kills; returns the exit code once every process of its session is gone."""
        self.signal(self.command.stop_signal)
        deadline = time.monotonic() + self.command.patience_s
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.kill()

    def kill(self) -> int:
        """Kills the whole session at once; returns the exit code."""
        while True:
            with self._lock:
                try:
                    code = self.poll()
                except ChildProcessError:
                    # This is a signal's handler, and its own thread had reaped when the signal came.
                    return -signal.SIGKILL
                if code is not None:
                    return code
                self._kill_session()
            time.sleep(0.01)

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, stopping: Callable[[], None]) -> None:
        """Returns once `ready()`. Raises ProcessFailed with the log's end when the child dies or time runs out.

        A child that has ended is not ready, whoever answers in its place. `stopping` is called between looks and may
        raise to give up.
        """
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is not None or not ready():
            stopping()
            if code is not None:
                raise ProcessFailed(
                    f"{self.command.name} ended while starting ({exit_text(code)}).", log=self.command.log
                )
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.command.name} was not ready in {timeout_s:.0f} s.", log=self.command.log)
            time.sleep(0.05)

    def _has_ended(self) -> bool:
        # WNOWAIT leaves the zombie: while it is there its id, and so the session's, cannot become another process's.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _kill_session(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def exit_text(code: int) -> str:
    """`exit code 3`, or `killed by SIGKILL`."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _start(command: Command) -> subprocess.Popen[bytes]:
    command.log.parent.mkdir(parents=True, exist_ok=True)
    if command.log.exists():
        command.log.replace(command.log.with_name(f"{command.log.name}.1"))
    tied = [
        sys.executable,
        "-I",
        "-S",
        str(_TIED_EXEC),
        str(os.getpid()),
        str(int(command.stop_signal)),
        command.user,
    ]
    with command.log.open("wb") as output:
        return subprocess.Popen(
            [*tied, *command.argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
            pass_fds=command.pass_fds,
        )

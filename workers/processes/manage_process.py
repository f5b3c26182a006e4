"""A `manage.py` process of our own: out of the terminal's reach, its log lines passed on as ours."""

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

import structlog
from django.conf import settings

from workers.processes.signs import SignsOfLife

_READ_TO_END = 5.0
# Hours of log lines, and as much as Linux lets anybody have.
_PIPE_BYTES = 1_048_576


class ManageProcess:
    """A SupervisedProcess that runs `manage.py` with `arguments`, in our environment with `environment` over it.

    Ctrl-C reaches the whole foreground of a terminal; this one it passes by, as ours is to say who ends, and when. Its
    log lines get the field process=`number`; events of `silenced` are left out. While we are frozen, or nobody takes
    what we write, it works on: a MiB of its lines waits for us, and what is more is lost. With `signs_option` it gets
    the descriptor for its signs of life (`signs_given`) by the option of this name.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        number: int,
        silenced: Collection[str] = (),
        environment: Mapping[str, str] | None = None,
        signs_option: str | None = None,
    ) -> None:
        self._signs = SignsOfLife() if signs_option else None
        given = (self._signs.descriptor,) if self._signs else ()
        lines, end_of_it = _pipe_that_holds_up_nobody()
        try:
            with _interrupts_held_back():
                self._popen = subprocess.Popen(
                    [
                        sys.executable,
                        str(settings.BASE_DIR / "manage.py"),
                        *arguments,
                        *(f"{signs_option}={descriptor}" for descriptor in given),
                    ],
                    stdin=subprocess.DEVNULL,
                    stderr=end_of_it,
                    env={**os.environ, **(environment or {})},
                    pass_fds=given,
                )
        except OSError:
            lines.close()
            if self._signs:
                self._signs.close()
            raise
        finally:
            os.close(end_of_it)
            if self._signs:
                self._signs.give_away()
        self._reader = threading.Thread(
            target=_pass_on_lines, args=(lines, number, silenced), name=f"log-{number}", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """See SupervisedProcess.pid."""
        return self._popen.pid

    def poll(self) -> int | None:
        """See SupervisedProcess.poll; its last words have been passed on by then."""
        code = self._popen.poll()
        if code is not None:
            self._reader.join(_READ_TO_END)
            if self._signs:
                self._signs.close()
        return code

    def silent_seconds(self) -> float:
        """See SupervisedProcess.silent_seconds; 0 for one that was not asked for signs."""
        return self._signs.silent_seconds() if self._signs else 0.0

    def stop(self) -> None:
        """See SupervisedProcess.stop: SIGTERM."""
        self._popen.terminate()

    def kill(self) -> None:
        """See SupervisedProcess.kill: SIGKILL."""
        self._popen.kill()


def _pipe_that_holds_up_nobody() -> tuple[IO[bytes], int]:
    """Where to read, and where a process may write: what has no room any more is refused, and logging leaves it out."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(AttributeError, OSError):  # not on Linux, or more than this user may have
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return os.fdopen(reading, "rb"), writing


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process that is started in here never gets a SIGINT; one that is meant for us comes through afterwards."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _pass_on_lines(stream: IO[bytes], number: int, silenced: Collection[str]) -> None:
    with stream:
        for line in stream:
            text = line.decode(errors="replace")
            entry = _log_entry(text)
            with suppress(OSError):  # our own standard error is gone; reading on keeps its last words from being lost
                if entry is None:
                    sys.stderr.write(f"process {number}: {text}")
                elif entry["event"] not in silenced:
                    _log_again(entry, number)


def _log_entry(text: str) -> dict[str, Any] | None:
    """The fields of a line as movieapp.logging writes it; None for any other line."""
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"event", "level", "logger"} <= entry.keys() else None


def _log_again(entry: dict[str, Any], number: int) -> None:
    level = logging.getLevelNamesMapping().get(str(entry.pop("level")).upper(), logging.INFO)
    entry.pop("timestamp", None)  # ours is the same but for the moment that the way takes
    log = structlog.get_logger(str(entry.pop("logger")))
    log.log(level, entry.pop("event"), **{**entry, "process": number})

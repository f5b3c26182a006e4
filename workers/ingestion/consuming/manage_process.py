"""A `manage.py` process of our own: out of the terminal's reach, its log lines passed on as ours."""

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

import structlog
from django.conf import settings

_READ_TO_END = 5.0


class ManageProcess:
    """A SupervisedProcess that runs `manage.py` with `arguments`, in our environment and with our settings.

    Ctrl-C reaches the whole foreground of a terminal; this one it passes by, as ours is to say who ends, and when. Its
    log lines get the field process=`number`; events of `silenced` are left out.
    """

    def __init__(self, arguments: Sequence[str], *, number: int, silenced: Collection[str] = ()) -> None:
        with _interrupts_held_back():
            self._popen = subprocess.Popen(
                [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        self._reader = threading.Thread(
            target=_pass_on_lines, args=(self._popen.stderr, number, silenced), name=f"log-{number}", daemon=True
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
        return code

    def stop(self) -> None:
        """See SupervisedProcess.stop: SIGTERM."""
        self._popen.terminate()

    def kill(self) -> None:
        """See SupervisedProcess.kill: SIGKILL."""
        self._popen.kill()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process that is started in here never gets a SIGINT; one that is meant for us comes through afterwards."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _pass_on_lines(stream: IO[bytes], number: int, silenced: Collection[str]) -> None:
    for line in stream:
        text = line.decode(errors="replace")
        entry = _log_entry(text)
        with suppress(OSError):  # our own standard error is gone; reading on keeps the process from getting stuck
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

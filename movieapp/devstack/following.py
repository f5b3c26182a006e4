"""Follows the children's logs: each new line goes to the console behind its child's name."""

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from rich.console import Console
from rich.text import Text

_LOOK_EVERY_S = 0.2
_NAME_WIDTH = len("grpc-metadata")
_COLOURS = {"web": "cyan", "consumer": "magenta", "kafka": "yellow", "postgres": "blue"}
# Of the servers only what a developer must see; the rest stays in their logs.
_SERVER_TROUBLE = re.compile(r"\b(WARN|WARNING|ERROR|FATAL|PANIC)\b")
SECOND_SIGNAL = "Once more ends it at once."
"""What our processes say at the first signal; here the second one is ours, and kills them all."""


@dataclass(frozen=True, kw_only=True)
class FollowedLog:
    """A log and the name shown before its lines; with `only_trouble` just warnings and errors are shown."""

    name: str
    path: Path
    only_trouble: bool = False


class LogFollower:
    """Shows what is written from `start` on, through restarts that begin a log anew, until `stop`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, logs: list[FollowedLog]) -> None:
        """Follows from the present end of each log."""
        for log in logs:
            show = self._shower(log, _COLOURS.get(log.name, "green"))
            thread = threading.Thread(
                target=_follow, args=(log.path, _open(log.path, at_end=True), show, self._stop), daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Shows what has been written until now and ends."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2)

    def _shower(self, log: FollowedLog, colour: str) -> Callable[[str], None]:
        def show(line: str) -> None:
            if not line or (log.only_trouble and not _SERVER_TROUBLE.search(line)):
                return
            prefix = Text(f"{log.name:<{_NAME_WIDTH}} │ ", style=colour)
            text = Text(readable(line.removesuffix(f" {SECOND_SIGNAL}")))
            try:
                self._console.print(prefix + text, soft_wrap=True, highlight=False)
            except OSError:
                return  # the terminal is gone

        return show


def readable(line: str) -> str:
    """A JSON log line as `time level event name=value …`; any other line as it is."""
    if not line.startswith("{"):
        return line
    try:
        fields = json.loads(line)
        event = fields.pop("event")
    except (ValueError, KeyError, TypeError):
        return line
    exception = fields.pop("exception", "")
    clock = str(fields.pop("timestamp", ""))[11:19]
    level = str(fields.pop("level", ""))
    fields.pop("logger", None)
    rest = [f"{name}={value}" for name, value in fields.items()]
    text = " ".join(part for part in (clock, level, str(event), *rest) if part)
    return f"{text}\n{exception}" if exception else text


def _follow(path: Path, file: BufferedReader | None, show: Callable[[str], None], stop: threading.Event) -> None:
    while True:
        ending = stop.wait(_LOOK_EVERY_S)
        if file is not None:
            _show_new(file, show)
        if _was_replaced(file, path):
            if file is not None:
                file.close()
            file = _open(path, at_end=False)
            if file is not None:
                _show_new(file, show)
        if ending:
            break
    if file is not None:
        file.close()


def _open(path: Path, *, at_end: bool) -> BufferedReader | None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    if at_end:
        file.seek(0, 2)
    return file


def _show_new(file: BufferedReader, show: Callable[[str], None]) -> None:
    while line := file.readline():
        if not line.endswith(b"\n"):
            # Half a line: the rest comes with a later look.
            file.seek(-len(line), 1)
            return
        show(line.decode(errors="replace").rstrip())


def _was_replaced(file: BufferedReader | None, path: Path) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return file is None or not os.path.samestat(os.fstat(file.fileno()), now)

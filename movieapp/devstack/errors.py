"""What can go wrong while the stack starts or stops; each message says what, where and how to mend it."""

from pathlib import Path

_TAIL_LINES = 25


class DevstackError(Exception):
    """Something a person has to mend; the message is written for that person."""


class StopRequested(DevstackError):
    """Ctrl-C or SIGTERM arrived while something was being waited for."""


class ProcessFailed(DevstackError):
    """A process ended, or did not get ready, when it should have been serving."""

    def __init__(self, what: str, *, log: Path | None = None) -> None:
        super().__init__(what if log is None else f"{what}\n{tail(log)}")


def tail(log: Path, *, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log with the file's name above them, or a sentence saying that it is empty."""
    try:
        text = log.read_text(errors="replace").strip()
    except FileNotFoundError:
        text = ""
    if not text:
        return f"({log} is empty)"
    return "\n".join([f"--- end of {log} ---", *text.splitlines()[-lines:]])

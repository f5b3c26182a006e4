"""A file, named pipe or standard input as raw bytes that never make the process deaf while they do not come."""

import io
import os
import select
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from movieapp.inputs.errors import FileNotReadable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT = "-"
_PATIENCE_MS = 200


def check_path(path: str) -> None:
    """Raise FileNotReadable for what cannot be read as a file, without opening it: a named pipe opens only once."""
    if path == STANDARD_INPUT:
        return
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        raise _not_readable(path, error) from None
    if stat.S_ISDIR(mode):
        raise FileNotReadable(path, "is a folder; name the files in it")
    if not os.access(path, os.R_OK):
        raise FileNotReadable(path, "you may not read it; check its permissions")


def _not_readable(path: str, error: OSError | ValueError) -> FileNotReadable:
    match error:
        case FileNotFoundError():
            return FileNotReadable(path, "there is no such file")
        case PermissionError():
            return FileNotReadable(path, "you may not read it; check its permissions")
        case OSError():
            return FileNotReadable(path, f"cannot be opened: {error.strerror}")
        case _:
            return FileNotReadable(path, "is no path")


class Rejoined(io.RawIOBase):
    """A stream whose `start` was read already, from its first byte again."""

    def __init__(self, start: bytes, rest: io.RawIOBase | io.BufferedIOBase) -> None:
        super().__init__()
        self._start = memoryview(start)
        self._rest = rest

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """See io.RawIOBase."""
        if not self._start:
            if isinstance(self._rest, io.BufferedIOBase):
                # readinto would wait until the buffer is full, and hold back what a slow pipe gave.
                return self._rest.readinto1(buffer)
            return self._rest.readinto(buffer)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._start))
        target[:count] = self._start[:count]
        self._start = self._start[count:]
        return count


class Source(io.RawIOBase):
    """The bytes of `path` ("-" is standard input). Raises FileNotReadable, from here or from reading.

    `name` is what to call it in messages. `on_wait` is called before every read and five times a second while no
    bytes come, as from a pipe; what it raises ends the read. `size` is the number of bytes there will be, or None
    where only the end will tell.
    """

    def __init__(self, path: str, *, on_wait: Callable[[], None]) -> None:
        super().__init__()
        self.path = path
        self.name = "standard input" if path == STANDARD_INPUT else path
        self.bytes_read = 0
        self._on_wait = on_wait
        self._descriptor = self._opened()
        try:
            about = os.fstat(self._descriptor)
        except OSError:
            raise FileNotReadable(self.name, "it is closed") from None
        self.size = about.st_size if stat.S_ISREG(about.st_mode) else None
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    @property
    def share(self) -> float | None:
        """How much of its bytes has been read, from 0 to 1; None where only the end will tell."""
        return min(self.bytes_read / self.size, 1.0) if self.size else None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """See io.RawIOBase. Raises FileNotReadable and what `on_wait` raises."""
        self._on_wait()
        while not self._poll.poll(_PATIENCE_MS):
            self._on_wait()
        try:
            count = os.readv(self._descriptor, [buffer])
        except OSError as error:
            raise FileNotReadable(self.name, f"cannot be read any further: {error.strerror}") from None
        self.bytes_read += count
        return count

    def close(self) -> None:
        """Leaves standard input open."""
        if not self.closed and self.path != STANDARD_INPUT:
            os.close(self._descriptor)
        super().close()

    def _opened(self) -> int:
        if self.path == STANDARD_INPUT:
            return 0
        check_path(self.path)
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise _not_readable(self.path, error) from None

"""Opens a file of movies, or standard input, and looks through gzip."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from metadata.errors import UnreadableSource

STANDARD_INPUT = "-"

PEEKED_BYTES = 8192

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: `content` is its unpacked bytes, `size` those on disk (None for a pipe)."""

    name: str
    content: "io.BufferedReader[io.RawIOBase]"
    size: int | None
    on_disk: IO[bytes]

    def first_bytes(self) -> bytes:
        """Up to 8 KiB of the content, still to be read afterwards."""
        with reading(self.name):
            return self.content.peek(PEEKED_BYTES)[:PEEKED_BYTES]

    def position(self) -> int:
        """How many of `size` bytes have been taken from the disk."""
        return self.on_disk.tell() if self.size is not None else 0


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """The file, unpacked where it is gzip by its first bytes. Raises UnreadableSource."""
    name = "standard input" if path == STANDARD_INPUT else path
    with reading(name):
        raw, size = _open_raw(path)
    try:
        buffered = io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER_BYTES)
        with reading(name):
            is_gzip = buffered.peek(2)[:2] == _GZIP_MAGIC
        content = buffered
        if is_gzip:
            unpacked = gzip.GzipFile(fileobj=buffered, mode="rb")
            content = io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER_BYTES)
        yield Source(name=name, content=content, size=size, on_disk=raw)
    finally:
        if path != STANDARD_INPUT:
            raw.close()


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Says which file it was that could not be read, and why."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableSource(f"{name}: the gzip data is damaged or cut short ({error}). Fetch it again.") from None
    except OSError as error:
        raise UnreadableSource(f"{name}: {error.strerror or error}.") from None


def _open_raw(path: str) -> tuple[IO[bytes], int | None]:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer, None
    raw = Path(path).open("rb", buffering=0)  # noqa: SIM115 (the caller closes it)
    return raw, Path(path).stat().st_size if Path(path).is_file() else None

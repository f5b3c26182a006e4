"""Opens one input for reading: source, decompression and a look at its beginning put together."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from movieapp.inputs.compression import decompressed
from movieapp.inputs.source import Rejoined, Source

_LOOK_AT = 64 * 1024
_CHUNK = 256 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Input:
    """An open input: its plain bytes in `content`, and the raw source for its name and its progress.

    `start` are the first bytes of `content`, which still gives them: all up to the end of the first line that is not
    blank, or 64 KiB where that line is longer. A byte order mark is in neither.
    """

    source: Source
    start: bytes
    content: io.BufferedIOBase

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.source.name


@contextmanager
def open_input(path: str, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[Input]:
    """The plain, gzip or zstd file, named pipe or standard input ("-") at `path`, decompressed.

    `on_wait` is called while reading, at least five times a second; what it raises comes out of the read. Raises
    InputError, here or from reading.
    """
    with Source(path, on_wait=on_wait) as source:
        plain = decompressed(source)
        start = _first_line(plain)
        yield Input(source, start, io.BufferedReader(Rejoined(start, plain), _CHUNK))


def _first_line(plain: io.BufferedIOBase) -> bytes:
    start = b""
    while b"\n" not in start.lstrip() and len(start) < _LOOK_AT and (more := plain.read1(_LOOK_AT)):
        start += more
    return start.removeprefix(_BYTE_ORDER_MARK)

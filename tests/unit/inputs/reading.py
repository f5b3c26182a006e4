"""Inputs that the tests make: files with a content, and streams that give little at a time."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from movieapp.inputs.opening import open_input

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _Trickle(io.RawIOBase):
    def __init__(self, content: bytes, step: int) -> None:
        super().__init__()
        self._content = io.BytesIO(content)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        part = self._content.read(min(self._step, len(target)))
        target[: len(part)] = part
        return len(part)


def trickle(content: bytes, step: int) -> io.BufferedReader:
    """A stream that gives a few bytes at a time, as a slow pipe does."""
    return io.BufferedReader(_Trickle(content, step))


def content_of(folder: Path, content: bytes, *, name: str = "file") -> bytes:
    """What is read from a file of this content."""
    path = folder / name
    path.write_bytes(content)
    with open_input(str(path)) as opened:
        return opened.content.read()

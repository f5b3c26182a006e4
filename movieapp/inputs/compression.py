"""Plain, gzip and zstd bytes as one plain stream, told apart by their first bytes and never by the name."""

import gzip
import io
import zlib
from typing import TYPE_CHECKING

import zstandard

from movieapp.inputs.errors import CompressionDamaged
from movieapp.inputs.source import Rejoined, Source

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 256 * 1024
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHERS = {
    b"PK\x03\x04": "a zip archive; unpack it and name the file inside",
    b"BZh": "compressed with bzip2; decompress it first: bzcat FILE | manage.py … -",
    b"\xfd7zXZ\x00": "compressed with xz; decompress it first: xzcat FILE | manage.py … -",
    b"\xff\xfe": "text in UTF-16; convert it to UTF-8",
    b"\xfe\xff": "text in UTF-16; convert it to UTF-8",
}
_LONGEST_MAGIC = 6
_CUT_OFF = "the compressed data ends too early: the file is cut off; fetch it again"


def decompressed(source: Source) -> io.BufferedIOBase:
    """The plain bytes of `source`. Raises CompressionDamaged, here for what we do not read and later from read()."""
    start = b""
    while len(start) < _LONGEST_MAGIC and (more := source.read(_BUFFER)):
        start += more  # a pipe may give a byte at a time
    buffered = io.BufferedReader(Rejoined(start, source), _BUFFER)
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise CompressionDamaged(source.name, f"is {what}")
    if start.startswith(_GZIP):
        return io.BufferedReader(_Gzip(buffered, source.name), _BUFFER)
    if start.startswith(_ZSTD) or _is_skippable_frame(start):
        return io.BufferedReader(_Zstd(buffered, source.name), _BUFFER)
    return buffered


def _is_skippable_frame(start: bytes) -> bool:
    return len(start) >= 4 and start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50


class _Gzip(io.RawIOBase):
    """All members of a gzip file, one after the other."""

    def __init__(self, compressed: io.BufferedIOBase, name: str) -> None:
        super().__init__()
        self._plain = gzip.GzipFile(fileobj=compressed)
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        try:
            return self._plain.readinto1(buffer)
        except EOFError:
            raise CompressionDamaged(self._name, _CUT_OFF) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CompressionDamaged(self._name, f"the gzip data is damaged ({error}); fetch it again") from None


class _Zstd(io.RawIOBase):
    """All frames of a zstd file. zstandard's own stream reader takes a frame that is cut off for a complete one."""

    # One compressed byte can become 32 kB; this bounds what a hostile file can make of one step to 64 MB.
    _STEP = 2_048

    def __init__(self, compressed: io.BufferedIOBase, name: str) -> None:
        super().__init__()
        self._compressed = compressed
        self._name = name
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside = False
        self._rest = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        while not self._plain:
            step = self._rest or self._compressed.read1(self._STEP)
            if not step:
                if self._inside:
                    raise CompressionDamaged(self._name, _CUT_OFF)
                return 0
            self._decompress(step)
        count = min(len(target), len(self._plain))
        target[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        return count

    def _decompress(self, step: bytes) -> None:
        try:
            self._plain = memoryview(self._frame.decompress(step))
        except zstandard.ZstdError as error:
            raise CompressionDamaged(self._name, f"the zstd data is damaged ({error}); fetch it again") from None
        self._inside = not self._frame.eof
        self._rest = b""
        if self._frame.eof:
            self._rest = self._frame.unused_data
            self._frame = zstandard.ZstdDecompressor().decompressobj()

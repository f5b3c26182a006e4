"""Compressed files are known by their content, and damage is told from an end."""

import gzip
import io
from pathlib import Path

import pytest
import zstandard

from movieapp.inputs.errors import CompressionDamaged
from tests.unit.inputs.reading import content_of

HEADER = b"recordId,userId,value\n"
ROWS = b"".join(b"%d,a,5\n" % number for number in range(20_000))
PLAIN = HEADER + ROWS
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


def _zstd_stream(content: bytes) -> bytes:
    """A frame that does not say how long its content is."""
    target = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(target, closefd=False) as writer:
        writer.write(content)
    return target.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(PLAIN),
        gzip.compress(HEADER) + gzip.compress(ROWS),
        zstandard.compress(PLAIN),
        zstandard.compress(HEADER) + SKIPPABLE + zstandard.compress(ROWS),
        SKIPPABLE + zstandard.compress(PLAIN),
        _zstd_stream(PLAIN),
    ],
    ids=["gzip", "gzip members", "zstd", "zstd frames", "zstd skippable first", "zstd without length"],
)
@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv"])
def test_compression_is_found_by_content(tmp_path: Path, content: bytes, name: str) -> None:
    assert content_of(tmp_path, content, name=name) == PLAIN


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(PLAIN)[:-4],
        gzip.compress(PLAIN)[:-2000],
        zstandard.compress(PLAIN)[:-1],
        zstandard.compress(PLAIN)[:-2000],
        zstandard.compress(PLAIN) + zstandard.compress(PLAIN)[:100],
        _zstd_stream(PLAIN)[:-3],
    ],
)
def test_data_that_is_cut_off_is_no_end(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CompressionDamaged, match="cut off"):
        content_of(tmp_path, content)


@pytest.mark.parametrize("compressed", [gzip.compress(PLAIN), zstandard.compress(PLAIN)], ids=["gzip", "zstd"])
def test_damaged_data(tmp_path: Path, compressed: bytes) -> None:
    content = bytearray(compressed)
    content[len(content) // 2 : len(content) // 2 + 40] = b"\x00" * 40
    with pytest.raises(CompressionDamaged, match="damaged"):
        content_of(tmp_path, bytes(content))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04rest", "zip archive"),
        (b"BZh9rest", "bzip2"),
        (b"\xfd7zXZ\x00rest", "xz"),
        ("recordId".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_not_read_says_what_to_do(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(CompressionDamaged, match=what):
        content_of(tmp_path, content)


def test_a_compressed_empty_file_is_empty(tmp_path: Path) -> None:
    assert content_of(tmp_path, gzip.compress(b"")) == b""
    assert content_of(tmp_path, zstandard.compress(b"")) == b""

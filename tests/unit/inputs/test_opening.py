"""How an input is opened: what it is called, what it begins with, and what it gives."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from movieapp.inputs.errors import CompressionDamaged, FileNotReadable
from movieapp.inputs.opening import open_input


@pytest.mark.parametrize(
    "content",
    [
        b"some movies",
        gzip.compress(b"some ") + gzip.compress(b"movies"),
        zstandard.compress(b"some ") + zstandard.compress(b"movies"),
    ],
    ids=["plain", "gzip", "zstd"],
)
def test_looks_through_compression_by_the_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes(content)
    with open_input(str(path)) as opened:
        assert opened.name == str(path)
        assert opened.start.startswith(b"some")
        assert opened.content.read() == b"some movies"
        assert opened.source.bytes_read == opened.source.size == path.stat().st_size
        assert opened.source.share == 1.0


@pytest.mark.parametrize("content", [b"", b"\x1f", b"\x28\xb5"])
def test_a_file_shorter_than_the_magic(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes(content)
    with open_input(str(path)) as opened:
        assert opened.start == content
        assert opened.content.read() == content


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes(compress(b"\xef\xbb\xbfmovies\n\xef\xbb\xbf"))
    with open_input(str(path)) as opened:
        assert opened.start.startswith(b"movies\n")
        assert opened.content.read() == b"movies\n\xef\xbb\xbf"


def test_the_start_reaches_over_blank_lines_to_the_end_of_the_first_that_is_not(tmp_path: Path) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes(b"\n" * 30_000 + b"first" + b"," * 30_000 + b"end\n" + b"second\n" * 50_000)
    with open_input(str(path)) as opened:
        assert opened.start.lstrip().startswith(b"first,")
        assert b"end\n" in opened.start
        assert len(opened.start) < 100_000
        assert opened.content.read() == path.read_bytes()


def test_names_a_file_that_is_missing_and_a_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotReadable, match=r"nowhere\.csv: there is no such file"),
        open_input(str(tmp_path / "nowhere.csv")),
    ):
        pass
    with pytest.raises(FileNotReadable, match="is a folder"), open_input(str(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda packed: packed[:-9], r"movies\.gz: .*cut off"),
        (lambda packed: packed[:12] + b"\xff" * 40 + packed[52:], r"movies\.gz: the gzip data is damaged"),
    ],
    ids=["cut off", "damaged"],
)
def test_names_damaged_gzip(tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    path = tmp_path / "movies.gz"
    path.write_bytes(damage(gzip.compress(bytes(range(256)) * 50)))
    with pytest.raises(CompressionDamaged, match=reason), open_input(str(path)) as opened:
        opened.content.read()

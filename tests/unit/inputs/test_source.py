"""Files, pipes and what is neither."""

import gzip
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from movieapp.inputs.compression import decompressed
from movieapp.inputs.errors import FileNotReadable
from movieapp.inputs.lines import numbered_lines
from movieapp.inputs.opening import open_input
from movieapp.inputs.source import Source, check_path

LINE = b"a line as long as any other\n"


class _Enough(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "reason"), [("no", "there is no such file"), (".", "is a folder"), ("a\0b", "is no path")]
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    path = f"{tmp_path}/{name}"
    with pytest.raises(FileNotReadable, match=reason):
        check_path(path)
    with pytest.raises(FileNotReadable, match=reason):
        Source(path, on_wait=lambda: None)


def test_the_size_of_a_file_is_known_and_its_bytes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    with Source(str(path), on_wait=lambda: None) as source:
        assert source.size == 1000
        assert source.read(400) == b"x" * 400
        assert source.bytes_read == 400
        assert source.share == 0.4


def test_a_pipe_that_gives_a_byte_at_a_time_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = gzip.compress(LINE * 3)

    def write() -> None:
        with io.FileIO(path, "w") as pipe:
            for at in range(len(content)):
                pipe.write(content[at : at + 1])

    writer = threading.Thread(target=write)
    writer.start()
    with open_input(str(path)) as opened:
        assert opened.source.size is None
        assert opened.source.share is None
        assert opened.start == LINE * 3
        assert opened.content.read() == LINE * 3
    writer.join()


def test_a_pipe_without_bytes_keeps_asking_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    keep_open = os.open(path, os.O_RDWR)
    asked = 0

    def on_wait() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise _Enough

    try:
        with Source(str(path), on_wait=on_wait) as source, pytest.raises(_Enough):
            decompressed(source)
    finally:
        os.close(keep_open)
    assert asked == 3


@pytest.mark.parametrize("compress", [bytes, zstandard.compress], ids=["plain", "zstd"])
def test_what_a_slow_pipe_gave_is_read_before_it_gives_more(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR)
    waits = 0

    def on_wait() -> None:
        nonlocal waits
        waits += 1
        if waits > 20:
            raise _Enough

    try:
        os.write(pipe, compress(LINE * 3))
        with open_input(str(path), on_wait=on_wait) as opened:
            lines = numbered_lines(opened.content, longest=100)
            assert [next(lines)[0] for _ in range(3)] == [1, 2, 3]
            os.write(pipe, compress(LINE * 2))
            assert [next(lines)[0] for _ in range(2)] == [4, 5]
    finally:
        os.close(pipe)

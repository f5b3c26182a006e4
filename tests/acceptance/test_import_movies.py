"""`manage.py import_movies` as people run it: a real process, a real database."""

import gzip
import json
import os
import signal

import pytest
import zstandard

from metadata.models import Movie
from tests.waiting import wait_until

MOVIELENS = "movieId,title,genres\n1,The Kid (1921),Comedy|Drama\n2,Brand (1918),Drama\n"


@pytest.fixture
def movies_file(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text(MOVIELENS)
    return str(path)


def test_imports_and_imports_again(manage, movies_file):
    first = manage("import_movies", movies_file)
    assert first.returncode == 0, first.stderr
    assert "2 read, 2 created, 0 changed" in first.stdout
    second = manage("import_movies", movies_file)
    assert second.returncode == 0, second.stderr
    assert "0 created, 0 changed, 2 unchanged" in second.stdout
    assert Movie.objects.get(pk="1").year == 1921


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_reads_compressed_standard_input(manage, compress):
    content = compress(json.dumps([{"id": "7", "title": "Sherlock Jr."}]).encode())
    result = manage("import_movies", "-", input=content)
    assert result.returncode == 0, result.stderr
    assert Movie.objects.get().title == "Sherlock Jr."


def test_exit_codes_tell_what_happened(manage, tmp_path):
    path = tmp_path / "movies.ndjson"
    path.write_text('{"id": "1", "title": "A"}\n{"id": "2"}\n{"id": "3", "title": "C"}\n')
    stopped = manage("import_movies", str(path))
    assert stopped.returncode == 1
    assert "line 2: title: it is missing" in stopped.stderr
    assert set(Movie.objects.values_list("pk", flat=True)) == {"1"}

    skipped = manage("import_movies", str(path), "--on-error", "skip")
    assert skipped.returncode == 3
    assert "rejected: " in skipped.stderr
    assert "line 2: title: it is missing" in skipped.stderr
    assert set(Movie.objects.values_list("pk", flat=True)) == {"1", "3"}

    missing = manage("import_movies", str(tmp_path / "nowhere.csv"))
    assert missing.returncode == 1
    assert "nowhere.csv: there is no such file" in missing.stderr

    damaged = manage("import_movies", "-", input=gzip.compress(MOVIELENS.encode())[:-9])
    assert damaged.returncode == 1
    assert "standard input: the compressed data ends too early: the file is cut off" in damaged.stderr

    wrong = manage("import_movies", str(path), "--batch-size", "0")
    assert wrong.returncode == 2
    assert "whole number from 1 to 50000" in wrong.stderr


def test_ctrl_c_says_where_it_got_to(start_manage, tmp_path):
    pipe = tmp_path / "movies.pipe"
    os.mkfifo(pipe)
    process = start_manage("import_movies", str(pipe), "--batch-size", "1", "--format", "ndjson")
    with pipe.open("wb", buffering=0) as writer:  # opens once the process reads
        writer.write(b'{"id": "1", "title": "A"}\n{"id": "2", "title": "B"}\n')
        wait_until(lambda: Movie.objects.count() == 2, message=process.output)
        process.popen.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    assert "2 created" in process.output()
    assert "interrupted: " in process.output()
    assert "Traceback" not in process.output()

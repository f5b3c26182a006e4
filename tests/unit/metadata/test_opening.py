"""How a file of movies is opened."""

import gzip

import pytest

from metadata.errors import UnreadableSource
from metadata.sources.opening import open_source, reading


@pytest.mark.parametrize("packed", [False, True])
def test_looks_through_gzip_by_the_content(tmp_path, packed):
    path = tmp_path / "movies.dat"
    path.write_bytes(gzip.compress(b"some ") + gzip.compress(b"movies") if packed else b"some movies")
    with open_source(str(path)) as source:
        assert source.first_bytes().startswith(b"some")
        assert source.content.read() == b"some movies"
        assert source.position() == source.size == path.stat().st_size


@pytest.mark.parametrize("content", [b"", b"\x1f"])
def test_a_file_shorter_than_the_magic(tmp_path, content):
    path = tmp_path / "movies.dat"
    path.write_bytes(content)
    with open_source(str(path)) as source:
        assert source.content.read() == content


def test_names_a_file_that_is_missing_and_a_folder(tmp_path):
    with (
        pytest.raises(UnreadableSource, match=r"nowhere\.csv: No such file"),
        open_source(str(tmp_path / "nowhere.csv")),
    ):
        pass
    with pytest.raises(UnreadableSource, match="Is a directory"), open_source(str(tmp_path)):
        pass


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-9], lambda packed: packed[:12] + b"\xff" * 40 + packed[52:]]
)
def test_names_damaged_gzip(tmp_path, damage):
    path = tmp_path / "movies.gz"
    path.write_bytes(damage(gzip.compress(bytes(range(256)) * 50)))
    with (
        open_source(str(path)) as source,
        pytest.raises(UnreadableSource, match="damaged or cut short"),
        reading("movies.gz"),
    ):
        source.content.read()

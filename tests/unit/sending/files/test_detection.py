"""Which format a file is taken for."""

import pytest

from movieapp.inputs.errors import FormatUnknown
from workers.ingestion.sending.files.detection import Format, detected_format


@pytest.mark.parametrize(
    ("start", "path", "wanted"),
    [
        (b"", "x", Format.JSON),
        (b' \n[{"a":1}]', "x.ndjson", Format.JSON),
        (b'{"a":1}\n{"a":2}', "-", Format.NDJSON),
        (b'{"a":1}', "x.json", Format.NDJSON),
        (b'{\n "a":1}', "x.json", Format.JSON),
        (b'{"a":', "x.jsonl.gz", Format.NDJSON),
        (b'{"a":', "x.ndjson.zst", Format.NDJSON),
        (b"userId,movieId,rating,timestamp\n", "anything", Format.MOVIELENS),
        (b"tconst\taverageRating\tnumVotes\n", "title.ratings.tsv.gz", Format.IMDB),
        (b"user_id,record_id,rating\r\n", "ratings.csv", Format.CSV),
        (b"\n\nrecordId;userId;value", "x.txt", Format.CSV),
    ],
)
def test_formats(start: bytes, path: str, wanted: Format) -> None:
    assert detected_format(start, name=path) is wanted


@pytest.mark.parametrize("start", [b"hello", b"movieId,title,genres\n", b"\x00\x01\x02", b"1,31,2.5,1260759144\n"])
def test_what_cannot_be_told_asks_for_the_option(start: bytes) -> None:
    with pytest.raises(FormatUnknown, match="--format"):
        detected_format(start, name="x")

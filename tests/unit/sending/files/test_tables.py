"""Tables with a header: our CSV, MovieLens and IMDb."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movieapp.inputs.errors import FormatUnknown
from ratings.events import RatingEvent
from tests.examples import fixed
from tests.rating_events import events
from tests.unit.sending.files.reading import put, read
from workers.ingestion.sending.files.detection import Format


@pytest.mark.parametrize(
    "header",
    [
        "recordId,userId,ratingValue",
        "record_id,user_id,value",
        "Record ID,USERID,rating",
        '"recordId","userId","value"',
    ],
)
def test_columns_have_several_spellings(tmp_path: Path, header: str) -> None:
    got = read(tmp_path, f"{header}\n1,a,4.5\n".encode())
    assert got.format is Format.CSV
    assert got.events == [put("1", "a", 45)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_in_any_order_with_all_of_the_contract(tmp_path: Path, delimiter: str) -> None:
    rows = [
        ["eventType", "providerId", "note", "ratingValue", "userId", "recordType", "recordId"],
        ["put", "p", "any", "7", "a", "book", "1"],
        ["", "", "", "7.0", "a", "", "2"],
        ["delete", "p", "", "", "a", "book", "1"],
    ]
    content = "\r\n".join(delimiter.join(row) for row in rows).encode()
    assert read(tmp_path, content, provider="mine").events == [
        RatingEvent("book", "1", "p", "a", 70),
        RatingEvent("movie", "2", "mine", "a", 70),
        RatingEvent("book", "1", "p", "a", None),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,a", "it has 2 columns where the header has 3"),
        (b"1,a,5,6", "it has 4 columns where the header has 3"),
        (b"1", "it has 1 column where the header has 3"),
        (b",a,5", "recordId: it is empty"),
        (b"1,,5", "userId: it is empty"),
        (b"1,a,", "ratingValue: it is missing"),
        (b"1,a,five", "ratingValue: 'five' is not a number"),
        (b"1,a,nan", "ratingValue: 'nan' is not a number"),
        (b"1,a,1_0", "ratingValue: '1_0' is not a number"),
        (b"1,a,10.1", "ratingValue: 10.1 is not a number from 0 to 10"),
        (b"1,a,4.55", "ratingValue: 4.55 is not a number from 0 to 10"),
        (b"1,a,-1", "ratingValue: -1.0 is not a number from 0 to 10"),
        (b"1," + b"a" * 129 + b",5", "userId: it has 129 characters"),
        (b"1,\xff,5", "the line is not UTF-8"),
        (b"1,a\x00,5", "userId: it has a NUL character"),
        (b'"1"x,a,5', "lines 3 to 3 are no row"),
        (b"x" * 70_000, "it is longer than 65536 bytes"),
    ],
)
def test_a_row_that_is_not_valid_is_named_and_the_next_is_read(tmp_path: Path, row: bytes, reason: str) -> None:
    got = read(tmp_path, b"recordId,userId,value\n0,a,5\n" + row + b"\n2,a,5\n")
    assert got.positions == [2, 4]
    assert list(got.rejections) == [3]
    assert got.rejections[3].line == 3
    assert got.reasons[3].startswith(reason)


def test_a_value_may_be_written_with_more_zeros_and_spaces(tmp_path: Path) -> None:
    got = read(tmp_path, b"recordId,userId,value\n1,a,4.50\n2,a, 5 \n3,a,.5\n4,a,1e1\n")
    assert [event.tenths for event in got.events] == [45, 50, 5, 100]


def test_an_unknown_event_type_is_rejected(tmp_path: Path) -> None:
    got = read(tmp_path, b"recordId,userId,value,eventType\n1,a,5,PUT\n")
    assert got.reasons == {2: 'eventType: it is neither "put" nor "delete"'}


def test_a_quoted_cell_may_span_lines(tmp_path: Path) -> None:
    got = read(tmp_path, b'recordId,userId,value\n"a\nb",u,5\n\n"c,""d""",u,6\nbad\n')
    assert [event.record_id for event in got.events] == ["a\nb", 'c,"d"']
    assert got.positions == [2, 5]
    assert list(got.rejections) == [6]


def test_a_quote_that_is_never_closed_is_rejected(tmp_path: Path) -> None:
    got = read(tmp_path, b'recordId,userId,value\n1,a,5\n"2,a,5\n3,a,5\n')
    assert got.positions == [2]
    assert got.reasons[3].startswith("lines 3 to 4 are no row")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"recordId,userId\n", "no column for ratingValue"),
        (b"a,b\n", "no column for recordId, userId, ratingValue"),
        (b"recordId,userId,value,rating\n", "two columns for ratingValue"),
    ],
)
def test_a_header_that_does_not_fit(tmp_path: Path, header: bytes, reason: str) -> None:
    with pytest.raises(FormatUnknown, match=reason):
        read(tmp_path, header + b"1,a,5\n", file_format=Format.CSV)


def test_a_header_alone_has_no_events(tmp_path: Path) -> None:
    assert read(tmp_path, b"recordId,userId,value").events == []
    assert read(tmp_path, b"", file_format=Format.CSV).events == []


def test_movielens(tmp_path: Path) -> None:
    got = read(tmp_path, b"userId,movieId,rating,timestamp\r\n1,31,2.5,1260759144\r\n7,1029,3.0,1260759179\r\n")
    assert got.format is Format.MOVIELENS
    assert got.events == [put("31", "1", 25, "movielens"), put("1029", "7", 30, "movielens")]


def test_movielens_with_a_provider_and_a_scale(tmp_path: Path) -> None:
    content = b"userId,movieId,rating,timestamp\n1,31,2.5,1\n1,32,0.5,1\n1,33,5.5,1\n"
    got = read(tmp_path, content, provider="ml", scale="0.5:5")
    assert got.events == [put("31", "1", 44, "ml"), put("32", "1", 0, "ml")]
    assert got.reasons == {4: "ratingValue: 5.5 is outside the scale 0.5:5"}


def test_imdb_is_one_rating_a_title(tmp_path: Path) -> None:
    got = read(tmp_path, b'tconst\taverageRating\tnumVotes\ntt0000001\t5.7\t2000\ntt"2\t10.0\t5\n')
    assert got.format is Format.IMDB
    assert got.events == [put("tt0000001", "imdb", 57, "imdb"), put('tt"2', "imdb", 100, "imdb")]


def test_it_starts_at_a_line(tmp_path: Path) -> None:
    got = read(tmp_path, b"recordId,userId,value\n\nbad\n1,a,5\n2,a,5\n", start_at=5)
    assert got.positions == [5]
    assert got.rejections == {}


@fixed(100)
@given(st.lists(events, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_csv_writes_is_read(tmp_path: Path, wanted: list[RatingEvent], ending: str, quote_all: bool) -> None:
    text = io.StringIO()
    # Python 3.11's writer does not quote a lone carriage return.
    lone_return = any(
        "\r" in text
        for event in wanted
        for text in (event.record_id, event.record_type, event.user_id, event.provider_id)
    )
    quoting = csv.QUOTE_ALL if quote_all or lone_return else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=ending, quoting=quoting)
    writer.writerow(["recordType", "recordId", "providerId", "userId", "ratingValue", "eventType"])
    for event in wanted:
        value = "" if event.tenths is None else f"{event.tenths / 10:g}"
        kind = "delete" if event.tenths is None else "put"
        writer.writerow([event.record_type, event.record_id, event.provider_id, event.user_id, value, kind])
    assert read(tmp_path, text.getvalue().encode(), file_format=Format.CSV).events == wanted

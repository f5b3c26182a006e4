"""One JSON event a line: what is an event, what is rejected, and at which line."""

from pathlib import Path

from tests.unit.sending.files.reading import put, read
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import LONGEST

ONE = b'{"recordId":"1","recordType":"movie","userId":"a","ratingValue":4.5,"eventType":"put"}'
TWO = b'{"recordId":"2","recordType":"movie","userId":"b","providerId":"p","value":10,"eventType":"put"}'


def test_lines_may_end_in_any_way(tmp_path: Path) -> None:
    got = read(tmp_path, b"\xef\xbb\xbf" + ONE + b"\r\n\r\n  \n" + TWO, name="a.ndjson")
    assert got.format is Format.NDJSON
    assert got.events == [put("1", "a", 45), put("2", "b", 100, "p")]
    assert got.positions == [1, 4]
    assert got.rejections == {}


def test_an_invalid_line_is_named_and_the_next_ones_are_read(tmp_path: Path) -> None:
    got = read(tmp_path, b"\n".join([ONE, b"{", b"[1]", ONE.replace(b"4.5", b"11"), b"\xff\xfe", TWO]), name="a.ndjson")
    assert got.positions == [1, 6]
    assert list(got.rejections) == [2, 3, 4, 5]
    assert got.rejections[4].line == 4
    assert got.reasons[2].startswith("the message is not JSON")
    assert got.reasons[3] == "the event is an array, not an object"
    assert got.reasons[4] == "ratingValue: 11 is not a number from 0 to 10 with at most one decimal"
    assert "UTF-8" in got.reasons[5]


def test_a_line_that_is_too_long_is_rejected_and_not_kept(tmp_path: Path) -> None:
    long = b'{"recordId":"' + b"x" * 700_000 + b'"}'
    got = read(tmp_path, b"\n".join([ONE, long, TWO, long]), name="a.ndjson")
    assert got.positions == [1, 3]
    assert got.reasons == {2: f"it is longer than {LONGEST} bytes", 4: f"it is longer than {LONGEST} bytes"}


def test_a_line_of_the_longest_length_is_read(tmp_path: Path) -> None:
    padded = ONE + b" " * (LONGEST - len(ONE))
    assert read(tmp_path, padded + b"\n" + padded + b" \n", name="a.ndjson").positions == [1]


def test_it_starts_at_a_line(tmp_path: Path) -> None:
    got = read(tmp_path, b"broken\n\n" + ONE + b"\n" + TWO, name="a.ndjson", file_format=Format.NDJSON, start_at=4)
    assert got.positions == [4]
    assert got.rejections == {}


def test_the_default_provider_is_for_events_that_name_none(tmp_path: Path) -> None:
    got = read(tmp_path, ONE + b"\n" + TWO, provider="mine")
    assert got.events == [put("1", "a", 45, "mine"), put("2", "b", 100, "p")]


def test_the_scale_is_for_values_of_either_dialect_and_ids_stay_as_written(tmp_path: Path) -> None:
    lines = b"\n".join(
        [
            b'{"recordId":1.50,"recordType":"movie","userId":105,"ratingValue":3.5,"eventType":"put"}',
            b'{"recordId":"2","recordType":"movie","userId":"b","value":5,"eventType":"put"}',
            b'{"recordId":"3","recordType":"movie","userId":"b","value":5.5,"eventType":"put"}',
            b'{"recordId":"4","recordType":"movie","userId":"b","eventType":"delete"}',
            b'{"recordId":"5","recordType":"movie","userId":"b","value":"3","eventType":"put"}',
            b'{"recordId":"6","recordType":"movie","userId":"b","value":true,"eventType":"put"}',
        ]
    )
    got = read(tmp_path, lines, scale="1:5")
    assert [(event.record_id, event.user_id, event.tenths) for event in got.events] == [
        ("1.50", "105", 63),
        ("2", "b", 100),
        ("4", "b", None),
    ]
    assert got.reasons[3] == "ratingValue: 5.5 is outside the scale 1:5"
    assert list(got.reasons) == [3, 5, 6]


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    assert read(tmp_path, b"").events == []
    assert read(tmp_path, b"\n \n", file_format=Format.NDJSON).events == []

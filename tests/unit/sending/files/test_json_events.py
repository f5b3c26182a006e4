"""Arrays of events cut out of the stream: any layout, any chunk size, and faults named by element and line."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movieapp.inputs.errors import StructureBroken
from ratings.events import RatingEvent, encode_event
from tests.examples import fixed
from tests.rating_events import events
from tests.unit.sending.files.reading import put, read
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import Defaults
from workers.ingestion.sending.files.json_array import json_events

ONE = b'{"recordId":"1","recordType":"movie","userId":"a","ratingValue":4.5,"eventType":"put"}'
TWO = b'{"recordId":"2","recordType":"movie","userId":"b","value":10,"eventType":"put"}'
BOTH = [put("1", "a", 45), put("2", "b", 100)]


class _Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, as a slow pipe does."""

    def __init__(self, content: bytes, step: int) -> None:
        super().__init__(content)
        self._step = step

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(self._step)


def _events(content: bytes, step: int = 1 << 20) -> list[object]:
    found = json_events(_Trickle(content, step), "file", defaults=Defaults(), start_at=1)
    return [event for _, event in found]


@pytest.mark.parametrize(
    "content",
    [
        b"[" + ONE + b"," + TWO + b"]",
        b"\n[ \r\n" + ONE + b"\t,\n\n " + TWO + b" \n]\n",
        ONE + TWO,
        ONE + b"\n" + TWO,
        b"[" + ONE + b"][" + TWO + b"]",
        b"[]" + ONE + b"[]\n[" + TWO + b"]",
        json.dumps([json.loads(ONE), json.loads(TWO)], indent=4).encode(),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_layouts(content: bytes, step: int) -> None:
    assert _events(content, step) == BOTH


@fixed(150)
@given(st.lists(events, max_size=6), st.integers(1, 300), st.sampled_from([None, 2]), st.booleans())
def test_what_json_writes_is_read(wanted: list[RatingEvent], step: int, indent: int | None, ascii_only: bool) -> None:
    objects = [json.loads(encode_event(event)) for event in wanted]
    assert _events(json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode(), step) == wanted


@pytest.mark.parametrize("step", [1, 5, 1 << 20])
def test_elements_that_are_no_events_are_rejected_by_number_and_line(tmp_path: Path, step: int) -> None:
    odd = [b"1", b'"a,]}\\""', b"null", b"[[1],2]", b'{"a":{"b":["}"]}}', b"{x:1}", b'{"recordId":"\xff"}']
    content = b"[" + ONE + b",\n" + b",\n".join(odd) + b",\n" + TWO + b"]"
    found = list(json_events(_Trickle(content, step), "file", defaults=Defaults(), start_at=1))
    assert [position for position, event in found if isinstance(event, RatingEvent)] == [1, 9]
    assert [(position, event.line) for position, event in found if not isinstance(event, RatingEvent)] == [
        (number, number) for number in range(2, 9)
    ]


def test_an_element_with_nested_extras_is_an_event() -> None:
    nested = ONE.replace(b'"userId"', b'"extra":{"a":["{",{"b":"\\"}"}]},"userId"')
    for step in (1, 1 << 20):
        assert _events(b"[" + nested + b"," + TWO + b"]", step) == BOTH


@pytest.mark.parametrize("filler", [b'"' + b"x" * 700_000 + b'"', b"[" + b'"y\\"",' * 100_000 + b"1]"])
def test_an_element_that_is_too_long_is_rejected(tmp_path: Path, filler: bytes) -> None:
    long = b'{"recordId":' + filler + b"}"
    got = read(tmp_path, b"[" + ONE + b"," + long + b"," + TWO + b"]")
    assert got.positions == [1, 3]
    assert got.reasons == {2: "it is longer than 65536 bytes"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" + ONE, "line 1, after element 1: .*the file ends inside the array: it is cut off"),
        (b"[" + ONE + b",", "the file ends inside the array"),
        (b"[" + ONE + b",\n" + TWO[:-9], "line 2, after element 2: .* the file ends inside an element"),
        (b"[" + ONE + b",\n" + TWO[:-2] + b"\\", "the file ends inside an element"),
        (
            b"[" + ONE + b"\n" + TWO + b"]",
            "line 2, after element 1: .* a comma or the end of the array must follow",
        ),
        (b"[" + ONE + b",]", "an element is missing before ]"),
        (b"[," + ONE + b"]", "line 1: .* an element is missing before ,"),
        (ONE + b"x", "line 1, after element 1: .* here an array"),
        (b"[" + ONE + b"]]", "here an array"),
        (b"[", "the file ends inside the array"),
    ],
)
def test_a_broken_structure_ends_the_file_and_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(StructureBroken, match=f"ratings: .*{reason}"):
        read(tmp_path, content, file_format=Format.JSON)


def test_it_starts_at_an_element(tmp_path: Path) -> None:
    got = read(tmp_path, b"[{},\n\n" + ONE + b"," + TWO + b"]", start_at=3)
    assert got.positions == [3]
    assert got.rejections == {}


def test_a_number_is_kept_exactly_as_an_id(tmp_path: Path) -> None:
    got = read(tmp_path, b"[" + ONE.replace(b'"1"', b"12345678901234567890123") + b"]")
    assert got.events[0].record_id == "12345678901234567890123"

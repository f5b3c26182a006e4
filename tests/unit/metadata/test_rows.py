"""How a stream of bytes is cut into rows."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.errors import UnreadableSource
from metadata.sources.rows import MAX_ROW_LENGTH, elements, lines
from tests.unit.metadata.sources import buffered


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, as a slow pipe does."""

    def __init__(self, content, step):
        self._content = io.BytesIO(content)
        self._step = step

    def readable(self):
        return True

    def readinto(self, target):
        part = self._content.read(min(self._step, len(target)))
        target[: len(part)] = part
        return len(part)


def elements_of(content, step=None):
    stream = io.BufferedReader(Trickle(content, step)) if step else buffered(content)
    return [(row.line, row.element, row.content) for row in elements(stream, name="movies.json")]


def lines_of(content):
    return [(row.line, row.content, row.problem) for row in lines(buffered(content))]


def test_lines_leave_out_blank_ones_and_count_them():
    content = b"\xef\xbb\xbfa\r\n\n  \nb\nlast without an end"
    assert lines_of(content) == [(1, "a", ""), (4, "b", ""), (5, "last without an end", "")]


def test_a_line_that_is_too_long_costs_only_itself():
    content = b"a\n" + b"x" * (3 * MAX_ROW_LENGTH) + b"\nb\n" + b"y" * MAX_ROW_LENGTH + b"\nc"
    rows = lines_of(content)
    assert [(line, bool(problem)) for line, _, problem in rows] == [
        (1, False),
        (2, True),
        (3, False),
        (4, False),
        (5, False),
    ]
    assert rows[4][1] == "c"


def test_a_byte_that_is_not_utf8_becomes_what_no_field_accepts():
    [(_, text, problem)] = lines_of(b"a\xffb")
    assert problem == ""
    with pytest.raises(UnicodeEncodeError):
        text.encode()


@given(
    values=st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=20), max_size=3), max_size=8),
    indent=st.sampled_from([None, 1]),
    step=st.integers(1, 7),
    as_array=st.booleans(),
)
def test_elements_are_found_however_the_bytes_arrive(values, indent, step, as_array):
    texts = [json.dumps(value, indent=indent, ensure_ascii=False) for value in values]
    whole = "[" + ",\n".join(texts) + "]" if as_array else "\n".join(texts)
    found = elements_of(whole.encode("utf-8", "surrogatepass"), step)
    assert [content for _, _, content in found] == values
    assert [number for _, number, _ in found] == list(range(1, len(values) + 1))


def test_elements_know_the_line_they_begin_on():
    content = b'[\n{"a":\n1},\n\n {"b": 2}, {"c": 3}\n]\n'
    assert elements_of(content) == [(2, 1, {"a": 1}), (5, 2, {"b": 2}), (5, 3, {"c": 3})]


def test_an_element_larger_than_what_is_read_at_once():
    big = {"description": "é" * 300_000}
    assert elements_of(json.dumps([big, {}], ensure_ascii=False).encode())[1] == (1, 2, {})


@pytest.mark.parametrize("content", [b"", b"  \n", b"[]", b" [ ] \n", b"\xef\xbb\xbf[]"])
def test_nothing_is_no_error(content):
    assert elements_of(content) == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[", 1),
        (b'[{"a": 1}', 1),
        (b'[{"a": 1},', 1),
        (b'[{"a": 1},]', 1),
        (b'[\n{"a": 1}\n{"b": 2}]', 3),
        (b'[{"a": 1}] {"b": 2}', 1),
        (b'[{"a": NaN}]', 1),
        (b'\n\n{"a": "x', 3),
        (b"title,year", 1),
        (b'[{"a": ' + b"[" * 200_000, 1),
    ],
)
def test_what_is_not_json_is_told_by_its_line(content, line):
    with pytest.raises(UnreadableSource, match=f"movies.json, line {line}: "):
        elements_of(content)


def test_an_endless_element_is_not_read_into_memory_whole():
    content = b'[{"a": "' + b"x" * (8 * MAX_ROW_LENGTH)
    stream = buffered(content)
    with pytest.raises(UnreadableSource):
        list(elements(stream, name="movies.json"))
    assert stream.tell() < 2 * MAX_ROW_LENGTH

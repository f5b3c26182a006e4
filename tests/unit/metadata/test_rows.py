"""What the rows of a movie file are: their text, their place, and what could not be cut out."""

import io

import pytest

from metadata.sources.rows import MAX_ROW_LENGTH, Row, elements, lines


def elements_of(content):
    return list(elements(io.BytesIO(content), name="movies.json"))


def test_lines_leave_out_blank_ones_and_count_them():
    rows = list(lines(io.BytesIO(b"a\r\n\n  \nb\n\r\nlast without an end")))
    assert rows == [Row(1, "a"), Row(4, "b"), Row(6, "last without an end")]
    assert rows[2].place == "line 6"


def test_a_line_that_is_too_long_costs_only_itself():
    content = b"a\n" + b"x" * (3 * MAX_ROW_LENGTH) + b"\nb\n" + b"y" * MAX_ROW_LENGTH + b"\nc"
    rows = list(lines(io.BytesIO(content)))
    assert [(row.line, row.text[:1], row.problem) for row in rows] == [
        (1, "a", ""),
        (2, "", "the line is longer than 1048576 bytes"),
        (3, "b", ""),
        (4, "y", ""),
        (5, "c", ""),
    ]


def test_elements_know_their_line_and_number():
    rows = elements_of(b'[\n{"a": 1},\n\n {"b": 2}]')
    assert rows == [Row(2, '{"a": 1}', element=1), Row(4, '{"b": 2}', element=2)]
    assert rows[1].place == "line 4, element 2"


def test_an_element_that_is_too_long_costs_only_itself():
    rows = elements_of(b'[{"a": 1}, {"b": "' + b"x" * MAX_ROW_LENGTH + b'"}, {"c": 3}]')
    assert [(row.element, row.text, row.problem) for row in rows] == [
        (1, '{"a": 1}', ""),
        (2, "", "the element is longer than 1048576 bytes"),
        (3, '{"c": 3}', ""),
    ]


@pytest.mark.parametrize("cut", [lines, lambda content: elements(content, name="movies.json")])
def test_a_byte_that_is_not_utf8_becomes_what_no_field_accepts(cut):
    [row] = cut(io.BytesIO(b'["a\xffb"]'))
    assert row.problem == ""
    with pytest.raises(UnicodeEncodeError):
        row.text.encode()

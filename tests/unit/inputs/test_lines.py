"""How a stream of bytes is cut into lines."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movieapp.inputs.lines import numbered_lines
from tests.examples import fixed
from tests.unit.inputs.reading import trickle

LONGEST = 1_048_576


@fixed(150)
@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 7))
def test_lines_are_found_however_the_bytes_arrive(lines: list[bytes], step: int) -> None:
    content = b"".join(line + b"\n" for line in lines)
    wanted = [(number, line if len(line) <= 5 else None) for number, line in enumerate(lines, start=1)]
    assert list(numbered_lines(trickle(content, step), longest=5)) == wanted


def test_carriage_returns_blank_lines_and_a_last_one_without_an_end_are_given() -> None:
    content = io.BytesIO(b"a\r\n\n  \nlast without an end")
    assert list(numbered_lines(content, longest=LONGEST)) == [
        (1, b"a\r"),
        (2, b""),
        (3, b"  "),
        (4, b"last without an end"),
    ]


@pytest.mark.parametrize("end", [b"\nc", b""])
def test_a_line_that_is_too_long_costs_only_itself(end: bytes) -> None:
    content = b"a\n" + b"x" * (3 * LONGEST) + b"\nb\n" + b"y" * LONGEST + b"\n" + b"z" * (LONGEST + 1) + end
    found = [line if line is None else line[:1] for _, line in numbered_lines(io.BytesIO(content), longest=LONGEST)]
    assert found == [b"a", None, b"b", b"y", None, *([b"c"] if end else [])]

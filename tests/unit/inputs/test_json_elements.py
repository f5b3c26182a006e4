"""How a JSON text is cut into its elements, without parsing it and without holding it."""

import io
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movieapp.inputs.errors import StructureBroken
from movieapp.inputs.json_elements import json_elements
from tests.examples import fixed
from tests.unit.inputs.reading import trickle

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LONGEST = 1_048_576
OBJECTS = st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=20), max_size=3), max_size=8)


def _elements(content: bytes, step: int = 1 << 20) -> list[tuple[int, object]]:
    found = json_elements(trickle(content, step), "movies.json", longest=LONGEST)
    return [(line, None if element is None else json.loads(element)) for line, element in found]


@fixed(150)
@given(values=OBJECTS, indent=st.sampled_from([None, 1]), step=st.integers(1, 7), as_array=st.booleans())
def test_elements_are_found_however_the_bytes_arrive(
    values: list[dict[str, str]], indent: int | None, step: int, as_array: bool
) -> None:
    texts = [json.dumps(value, indent=indent, ensure_ascii=False) for value in values]
    whole = "[" + ",\n".join(texts) + "]" if as_array else "\n".join(texts)
    found = _elements(whole.encode("utf-8", "surrogatepass"), step)
    assert [content for _, content in found] == values


def test_elements_know_the_line_they_begin_on() -> None:
    content = b'[\n{"a":\n1},\n\n {"b": 2}, {"c": 3}\n]\n'
    assert _elements(content) == [(2, {"a": 1}), (5, {"b": 2}), (5, {"c": 3})]


def test_an_element_larger_than_what_is_read_at_once() -> None:
    big = {"description": "\u00e9" * 300_000}
    assert _elements(json.dumps([big, {}], ensure_ascii=False).encode()) == [(1, big), (1, {})]


@pytest.mark.parametrize("content", [b"", b"  \n", b"[]", b" [ ] \n"])
def test_nothing_is_no_error(content: bytes) -> None:
    assert _elements(content) == []


@pytest.mark.parametrize("element", [b'{"a": NaN}', b'{"a": }', b'{"a": [}', b"nonsense", b'{"a": "\xff"}'])
def test_an_element_that_is_not_json_is_cut_out_for_its_reader_to_refuse(element: bytes) -> None:
    text = io.BytesIO(b'[{"a": 1},\n' + element + b',\n{"b": 2}]')
    assert list(json_elements(text, "movies.json", longest=LONGEST)) == [
        (1, b'{"a": 1}'),
        (2, element),
        (3, b'{"b": 2}'),
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[", 1),
        (b'[{"a": 1}', 1),
        (b'[{"a": 1},', 1),
        (b'[{"a": 1},]', 1),
        (b'[\n{"a": 1}\n{"b": 2}]', 3),
        (b'[{"a": 1}] 2', 1),
        (b'\n\n{"a": "x', 3),
        (b"title,year", 1),
        (b'[{"a": ' + b"[" * 200_000, 1),
    ],
)
@pytest.mark.parametrize("step", [5, 1 << 20])
def test_what_is_not_json_is_told_by_its_line(content: bytes, line: int, step: int) -> None:
    with pytest.raises(StructureBroken, match=rf"movies\.json: line {line}[:,]"):
        _elements(content, step)


class _Endless(io.RawIOBase):
    """An array's beginning, and then one text of 64 MB that does not end."""

    def __init__(self) -> None:
        super().__init__()
        self._start = b'[{"a": "'
        self._left = 64 * LONGEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        part = self._start or b"x" * min(len(target), self._left)
        self._left -= 0 if self._start else len(part)
        self._start = b""
        target[: len(part)] = part
        return len(part)


def test_an_endless_element_is_not_read_into_memory_whole() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(StructureBroken, match=r"line 1, after element 1: .*the file ends inside an element"):
            list(json_elements(io.BufferedReader(_Endless(), 256 * 1024), "movies.json", longest=LONGEST))
        assert tracemalloc.get_traced_memory()[1] < 4 * LONGEST
    finally:
        tracemalloc.stop()

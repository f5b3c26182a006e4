"""Elements of JSON arrays of any size, cut out of the byte stream one by one without parsing the whole."""

import io
import re
from collections.abc import Iterator

from movieapp.inputs.errors import StructureBroken

_CHUNK = 256 * 1024
_SPACE = re.compile(rb"[ \t\r\n]*+")
# An object without another one inside, and the comma after it. Possessive, so that a cut-off one costs one pass.
_FLAT_OBJECT = re.compile(rb'[ \t\r\n]*+(\{[^{}"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^{}"]*+)*+\})[ \t\r\n]*+,', re.DOTALL)
_IN_TEXT = re.compile(rb'["\\]')
_OUTSIDE_TEXT = re.compile(rb'["\[\]{},\s]')


def json_elements(stream: io.BufferedIOBase, name: str, *, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Each element's physical line from 1 on, and its bytes; None for one of more than `longest` bytes.

    The text is an array, or arrays and single objects one after the other. An element is whatever stands between the
    commas, well-formed or not: telling is its decoder's matter. Not more than one chunk and one element is held.
    Raises StructureBroken, which names the place in `name`, where the next element cannot be found, and what the
    stream raises.
    """
    return _Elements(stream, name, longest).cut_out()


class _Value:
    """One JSON value as it is gathered; what is beyond `longest` bytes is not kept."""

    def __init__(self, longest: int) -> None:
        self.in_text = False
        self._longest = longest
        self._depth = 0
        self._length = 0
        self._parts: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= self._longest:
            self._parts.append(piece)

    def content(self) -> bytes | None:
        return b"".join(self._parts) if self._length <= self._longest else None

    def ends_before(self, byte: bytes) -> bool:
        return not self.in_text and self._depth == 0 and (not byte or byte in b",]}" or byte.isspace())

    def ends_with(self, byte: bytes) -> bool:
        """Take note of a telling byte, which is no backslash; whether the value is complete with it."""
        if byte == b'"':
            self.in_text = not self.in_text
            return not self.in_text and self._depth == 0
        if self.in_text or byte not in b"[]{}":
            return False
        self._depth += 1 if byte in b"[{" else -1
        return self._depth == 0


class _Elements:
    """The scanner: a window of the stream, and how many lines lie before it."""

    def __init__(self, stream: io.BufferedIOBase, name: str, longest: int) -> None:
        self._stream = stream
        self._name = name
        self._longest = longest
        self._window = b""
        self._at = 0
        self._line = 1
        self._counted = 0  # up to here the window's newlines are in _line
        self._number = 0

    def cut_out(self) -> Iterator[tuple[int, bytes | None]]:
        """Each element's line and bytes, or None for one that is too long."""
        while (first := self._next_byte()) is not None:
            if first == b"[":
                self._at += 1
                yield from self._array()
            elif first == b"{":
                yield self._element()
            else:
                raise self._broken("here an array [ or an object { must begin")

    def _array(self) -> Iterator[tuple[int, bytes | None]]:
        if self._next_byte() == b"]":
            self._at += 1
            return
        while True:
            yield from self._flat_objects()
            first = self._next_byte()
            if first is None:
                raise self._broken("the file ends inside the array: it is cut off")
            if first in b",]}:":
                raise self._broken(f"an element is missing before {first.decode()}")
            yield self._element()
            match self._next_byte():
                case b",":
                    self._at += 1
                case b"]":
                    self._at += 1
                    return
                case None:
                    raise self._broken("the file ends inside the array: it is cut off")
                case _:
                    raise self._broken("a comma or the end of the array must follow an element")

    def _flat_objects(self) -> Iterator[tuple[int, bytes]]:
        """The elements that the pattern matches, which are all but the last of a window in all but odd files."""
        while (flat := _FLAT_OBJECT.match(self._window, self._at)) and flat.end() - self._at <= self._longest:
            self._at = flat.start(1)
            line = self._current_line()
            self._at = flat.end()
            self._number += 1
            yield line, flat.group(1)

    def _element(self) -> tuple[int, bytes | None]:
        self._number += 1
        return self._current_line(), self._any_element()

    def _any_element(self) -> bytes | None:
        """One value of any kind, nesting and length, across windows: for what the pattern does not match."""
        value = _Value(self._longest)
        while True:
            byte = self._take_until_telling_byte(value)
            if value.ends_before(byte):
                return value.content()
            if not byte:
                raise self._broken("the file ends inside an element: it is cut off")
            value.add(byte)
            self._at += 1
            if byte == b"\\":
                self._take_escaped(value)
            elif value.ends_with(byte):
                return value.content()

    def _take_until_telling_byte(self, value: "_Value") -> bytes:
        """Add all up to the next byte that may end a text, a nesting or the value; b"" at the end of the file."""
        pattern = _IN_TEXT if value.in_text else _OUTSIDE_TEXT
        while True:
            found = pattern.search(self._window, self._at)
            end = found.start() if found else len(self._window)
            value.add(self._window[self._at : end])
            self._at = end
            if found:
                return found.group()
            if not self._refill():
                return b""

    def _take_escaped(self, value: "_Value") -> None:
        if self._at == len(self._window) and not self._refill():
            raise self._broken("the file ends inside an element: it is cut off")
        value.add(self._window[self._at : self._at + 1])
        self._at += 1

    def _next_byte(self) -> bytes | None:
        """The next byte that is no white space, not consumed; None at the end of the file."""
        while True:
            space = _SPACE.match(self._window, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._window):
                return self._window[self._at : self._at + 1]
            if not self._refill():
                return None

    def _refill(self) -> bool:
        """Drop what is consumed and read more; False at the end of the file."""
        self._current_line()
        chunk = self._stream.read1(_CHUNK)
        if chunk:
            self._window = self._window[self._at :] + chunk
            self._at = self._counted = 0
        return bool(chunk)

    def _current_line(self) -> int:
        self._line += self._window.count(b"\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _broken(self, reason: str) -> StructureBroken:
        place = f"line {self._current_line()}"
        after = f", after element {self._number}" if self._number else ""
        return StructureBroken(self._name, f"{place}{after}: this is not JSON that can be followed: {reason}")

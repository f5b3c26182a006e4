"""Cuts a stream of bytes into rows: lines of text, or the elements of a JSON array."""

import codecs
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

from metadata.errors import UnreadableSource

MAX_ROW_LENGTH = 1_048_576
"""The longest line (in bytes) and JSON element (in characters): what bounds the memory."""

_CHUNK_BYTES = 1 << 16
_BOM = "\ufeff"
_WHITESPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands; `problem` says why it could not even be cut out.

    `element` counts the elements of a JSON text from 1; it is 0 where rows are lines.
    """

    line: int
    content: object
    problem: str = ""
    element: int = 0

    @property
    def place(self) -> str:
        """Where to look for the row in its source."""
        return f"line {self.line}, element {self.element}" if self.element else f"line {self.line}"


def lines(content: "io.BufferedReader[io.RawIOBase]") -> Iterator[Row]:
    """The lines that are not blank, counted from 1, without their ends and a byte order mark.

    A byte that is not UTF-8 becomes half a surrogate pair, which no field accepts: it costs its row, not the file.
    """
    number = 0
    while raw := content.readline(MAX_ROW_LENGTH + 1):
        number += 1
        if len(raw) > MAX_ROW_LENGTH and not raw.endswith(b"\n"):
            _skip_line(content)
            yield Row(number, "", problem=f"the line is longer than {MAX_ROW_LENGTH} bytes")
            continue
        text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if number == 1:
            text = text.removeprefix(_BOM)
        if text and not text.isspace():
            yield Row(number, text)


def elements(content: "io.BufferedReader[io.RawIOBase]", *, name: str) -> Iterator[Row]:
    """The elements of a JSON array, or JSON objects one after the other, each with the line that it begins on.

    Raises UnreadableSource where the text stops being JSON: what follows cannot be told apart any more.
    """
    text = _JsonText(content, name=name)
    in_array = text.take("[")
    if in_array and text.take("]"):
        text.expect_end()
        return
    while in_array or text.has_more():
        yield text.element()
        if in_array and not text.take(","):
            if not text.take("]"):
                raise text.broken("a comma or the end of the array is missing")
            text.expect_end()
            return


class _JsonText:
    """A window on a JSON text: holds little more than the element being read."""

    def __init__(self, content: "io.BufferedReader[io.RawIOBase]", *, name: str) -> None:
        self._content = content
        self._name = name
        self._decode_bytes = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._parse = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
        self._window = ""
        self._at = 0
        self._line = 1
        self._element = 0
        self._at_end = False

    def take(self, character: str) -> bool:
        """Steps over white space, and over the character if it is next."""
        found = self.has_more() and self._window[self._at] == character
        if found:
            self._at += 1
        return found

    def has_more(self) -> bool:
        """Steps over white space; False at the end."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in _WHITESPACE:
                self._line += self._window[self._at] == "\n"
                self._at += 1
            if self._at < len(self._window):
                return True
            if not self._read_on():
                return False

    def element(self) -> Row:
        """The next element. Raises UnreadableSource when there is none."""
        if not self.has_more():
            raise self.broken("it ends where an element should be")
        while True:
            try:
                value, end = self._parse(self._window, self._at)
            except (ValueError, RecursionError) as error:
                # Perhaps it only goes on in what has not been read yet.
                if len(self._window) - self._at > MAX_ROW_LENGTH or not self._read_on():
                    raise self.broken(_reason(error)) from None
                continue
            self._element += 1
            row = Row(self._line, value, element=self._element)
            self._line += self._window.count("\n", self._at, end)
            self._at = end
            return row

    def expect_end(self) -> None:
        """Raises UnreadableSource when anything but white space follows."""
        if self.has_more():
            raise self.broken("there is more after the end of the array")

    def broken(self, reason: str) -> UnreadableSource:
        return UnreadableSource(f"{self._name}, line {self._line}: this is not JSON: {reason}.")

    def _read_on(self) -> bool:
        if self._at_end:
            return False
        chunk = self._content.read1(_CHUNK_BYTES)
        self._at_end = not chunk
        self._window = self._window[self._at :] + self._decode_bytes(chunk, final=self._at_end)
        self._at = 0
        return True


def _skip_line(content: "io.BufferedReader[io.RawIOBase]") -> None:
    while (rest := content.readline(_CHUNK_BYTES)) and not rest.endswith(b"\n"):
        pass


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg[:1].lower() + error.msg[1:]
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)

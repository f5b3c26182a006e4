"""The rows of a movie file, lines of text or elements of a JSON text, each with its place in the file."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from movieapp.inputs.json_elements import json_elements
from movieapp.inputs.lines import numbered_lines

MAX_ROW_LENGTH = 1_048_576
"""The longest line and JSON element in bytes: what bounds the memory."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands; `problem` says why it could not be cut out, and `text` is empty then.

    A byte that is not UTF-8 is half a surrogate pair in `text`, which no field accepts: it costs its row, not the file.
    `element` counts the elements of a JSON text from 1; it is 0 where rows are lines.
    """

    line: int
    text: str
    problem: str = ""
    element: int = 0

    @property
    def place(self) -> str:
        """Where to look for the row in its source."""
        return f"line {self.line}, element {self.element}" if self.element else f"line {self.line}"


def lines(content: io.BufferedIOBase) -> Iterator[Row]:
    """The lines that are not blank, counted from 1, without their ends."""
    for number, line in numbered_lines(content, longest=MAX_ROW_LENGTH):
        if line is None:
            yield Row(number, "", problem=f"the line is longer than {MAX_ROW_LENGTH} bytes")
            continue
        text = line.decode("utf-8", "surrogateescape").rstrip("\r")
        if text and not text.isspace():
            yield Row(number, text)


def elements(content: io.BufferedIOBase, *, name: str) -> Iterator[Row]:
    """The elements of arrays, or objects one after the other, each with the line that it begins on.

    Raises StructureBroken where the next one cannot be found.
    """
    for number, (line, element) in enumerate(json_elements(content, name, longest=MAX_ROW_LENGTH), start=1):
        if element is None:
            yield Row(line, "", problem=f"the element is longer than {MAX_ROW_LENGTH} bytes", element=number)
        else:
            yield Row(line, element.decode("utf-8", "surrogateescape"), element=number)

"""A byte stream as numbered physical lines of bounded length."""

import io
from collections.abc import Iterator

MAX_LINE = 65_536
"""The longest line in bytes; the longest valid event has less than 4,000."""

_CHUNK = 256 * 1024


def numbered_lines(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number from 1 on, without its newline; None for a line longer than MAX_LINE, which is dropped.

    Blank lines are given too; a carriage return at the end stays. Not more than one chunk and one line is held.
    """
    number = 0
    rest = b""
    dropping = False
    while chunk := stream.read1(_CHUNK):
        lines = chunk.split(b"\n")
        lines[0] = rest + lines[0]
        rest = lines.pop()
        for line in lines:
            number += 1
            if dropping or len(line) > MAX_LINE:
                dropping = False
                yield number, None
            else:
                yield number, line
        if len(rest) > MAX_LINE:
            dropping = True
            rest = b""
    if dropping:
        yield number + 1, None
    elif rest:
        yield number + 1, rest

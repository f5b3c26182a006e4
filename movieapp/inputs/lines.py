"""A byte stream as numbered physical lines of bounded length."""

import io
from collections.abc import Iterator

_CHUNK = 256 * 1024


def numbered_lines(stream: io.BufferedIOBase, *, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number from 1 on, without its newline; None for one of more than `longest` bytes.

    Blank lines are given too; a carriage return at the end stays. Not more than one chunk and one line is held: what
    is too long is dropped as it is read. Raises what the stream raises.
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
            if dropping or len(line) > longest:
                dropping = False
                yield number, None
            else:
                yield number, line
        if len(rest) > longest:
            dropping = True
            rest = b""
    if dropping:
        yield number + 1, None
    elif rest:
        yield number + 1, rest

"""What a dead letter holds, as text that neither a terminal nor a page can be misled by."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

LONGEST_SHOWN = 20_000
"""Bytes of a payload that people are shown."""


def payload_text(payload: Any) -> str:
    """Bytes as text where they are text, with control characters spelt out; else in hexadecimal. Long ones are cut."""
    if payload is None:
        return "null"
    whole = bytes(payload)
    shown = whole[:LONGEST_SHOWN]
    try:
        # A cut may fall within a character: that one is left out.
        text = shown.decode("utf-8", "ignore" if len(whole) > len(shown) else "strict")
        text = "\n".join(printable(line) for line in text.split("\n"))
    except UnicodeDecodeError:
        text = f"(not UTF-8) {shown.hex(' ')}"
    return f"{text}\n… and {len(whole) - len(shown)} bytes more" if len(whole) > len(shown) else text


def printable(text: str) -> str:
    """One line of text with everything spelt out that would not be seen as it is."""
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def header_values(headers: Any) -> Iterator[tuple[str, bytes | None]]:
    """Names and values of the headers that a letter keeps; what is not in its form is taken as text."""
    for header in headers if isinstance(headers, list) else [headers]:
        if isinstance(header, Sequence) and not isinstance(header, str) and len(header) == 2:
            yield str(header[0]), _from_base64(header[1])
        else:
            yield "", str(header).encode()


def _from_base64(value: Any) -> bytes | None:
    try:
        return None if value is None else base64.b64decode(value)
    except (binascii.Error, ValueError, TypeError):
        return str(value).encode()

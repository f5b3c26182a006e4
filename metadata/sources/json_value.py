"""Reads the JSON value of one row, and says what is wrong with one that is none."""

import json

import msgspec

from metadata.errors import InvalidMovie

_UNREADABLE = "too deep, too long a number, NaN or Infinity"


def json_value(text: str, *, kind: str) -> object:
    """The value that the text of one row stands for; `kind` is what to call the row. Raises InvalidMovie."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return _named_or_odd(text, kind)


def _named_or_odd(text: str, kind: str) -> object:
    """What only the slower parser takes, such as half a surrogate pair, which a field refuses by its name."""
    try:
        return _decode_slowly(text)
    except json.JSONDecodeError as error:
        raise InvalidMovie("", f"the {kind} is not JSON (character {error.pos})") from None
    except (ValueError, RecursionError):
        raise InvalidMovie("", f"the {kind} is not JSON that can be read ({_UNREADABLE})") from None


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


_decode = msgspec.json.Decoder().decode
# Six times as slow, but it knows the character at which a text stops being JSON.
_decode_slowly = json.JSONDecoder(parse_constant=_refuse_constant).decode

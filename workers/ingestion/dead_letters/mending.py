"""A dead letter's value with some of its fields set anew; everything else stays as it was written."""

import json
from collections.abc import Mapping

import msgspec

from workers.ingestion.errors import NotMendable

FIELDS = ("recordId", "recordType", "userId", "providerId", "eventType", "ratingValue", "value")
"""The fields of a rating event, by their names in the JSON."""

_NUMBERS = frozenset({"ratingValue", "value"})
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def field_setting(text: str) -> tuple[str, str]:
    """Field and new value from `field=value`. Raises ValueError with the reason."""
    field, equals, value = text.partition("=")
    if not equals or field not in FIELDS:
        raise ValueError(f"{text[:40]!r} is not field=value with one of the fields {', '.join(FIELDS)}")
    return field, value


def mended_value(value: bytes | None, changes: Mapping[str, str]) -> bytes:
    """The JSON object `value` with `changes` in place of what it says; numbers as JSON has them, the rest as text.

    Raises NotMendable for a value that is no JSON object.
    """
    try:
        fields = _decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotMendable("The value is not a JSON object whose fields could be set: give the whole value.") from None
    return msgspec.json.encode({**fields, **{field: _raw(field, text) for field, text in changes.items()}})


def _raw(field: str, text: str) -> msgspec.Raw:
    if field in _NUMBERS:
        try:
            json.loads(text, parse_constant=_refuse_constant)
        except ValueError:
            pass
        else:
            return msgspec.Raw(text.encode())
    return msgspec.Raw(json.dumps(text).encode())


def _refuse_constant(name: str) -> None:
    raise ValueError(name)

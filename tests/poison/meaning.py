"""What a message means to somebody who reads the contract (docs and README) and nothing of our code."""

import json

Rating = tuple[str, str, str, str, int | None]
"""Record type, record id, provider id, user id; tenths, or None for a delete."""


class _Number(str):
    """A JSON number as it is written."""


def meaning(payload: bytes | None) -> Rating | None:
    """The rating that the message stands for; None for a message that is no rating event."""
    try:
        found = json.loads((payload or b"").decode(), parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
        ids = [_id(found.get(name)) for name in ("recordType", "recordId", "userId")]
        provider = "" if found.get("providerId") in (None, "") else _id(found["providerId"])
        kind = found.get("eventType")
        if type(kind) is not str or kind not in ("put", "delete"):
            return None
        tenths = _tenths(found.get("ratingValue"), found.get("value")) if kind == "put" else None
    except (ValueError, AttributeError, RecursionError):
        return None
    return ids[0], ids[1], provider, ids[2], tenths


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _id(value: object) -> str:
    if type(value) not in (str, _Number) or not 1 <= len(value) <= 128 or "\x00" in value:  # type: ignore[arg-type]
        raise ValueError
    str(value).encode()  # half of a surrogate pair is a UnicodeEncodeError, which is a ValueError
    return str(value)


def _tenths(*given: object) -> int:
    values = {_one(value) for value in given if value is not None}
    if len(values) != 1:
        raise ValueError
    return values.pop()


def _one(value: object) -> int:
    if type(value) is not _Number:
        raise ValueError
    number = float(value)
    if not 0 <= number <= 10 or round(number * 10) / 10 != number:
        raise ValueError
    return round(number * 10)

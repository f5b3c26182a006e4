"""The rating event: its JSON contract, and the one place that decides what is a valid rating.

Standard library and msgspec only, so that every process may read events without Django.
"""

import json
from typing import Annotated, Literal, NoReturn

import msgspec

from ratings.errors import InvalidRating

MAX_ID_LENGTH = 128
"""The longest id, in characters."""

MAX_TENTHS = 100
"""The highest rating, 10.0, in tenths."""

# Every number that a rating may have, as its value in tenths. A look-up is exact where arithmetic on floats is not:
# 4.3 is found, 4.30000001 and 4.35 are not, and 5 is 5.0.
_TENTHS_BY_VALUE: dict[float | None, int] = {tenths / 10: tenths for tenths in range(MAX_TENTHS + 1)}

_VALUE_RULE = "a number from 0 to 10 with at most one decimal"
_ID_RULE = f"a non-empty text of at most {MAX_ID_LENGTH} characters"


class RatingEvent(msgspec.Struct, frozen=True, gc=False):
    """A put (`tenths` is 0 to 100) or a delete (`tenths` is None) of the one rating of a record, provider and user.

    Made by `rating_event`, `event_from_json` and `decode_event`, which check every field; no provider is "".
    """

    record_type: str
    record_id: str
    provider_id: str
    user_id: str
    tenths: int | None


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]


class _Wire(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """The event as producers write it in all but rare cases: what passes here needs no look at its single fields."""

    record_id: _Id
    record_type: _Id
    user_id: _Id
    event_type: Literal["put", "delete"]
    provider_id: Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)] = ""
    rating_value: float | None = None
    value: float | None = None


class _Number(float):
    """A JSON number that remembers how it was written: an id is kept as its text."""

    text: str


_BACKSLASH = ord("\\")  # a search for one byte costs a fifth of one for two
_decode_wire = msgspec.json.Decoder(_Wire).decode


def tenths_of(value: object, *, field: str = "ratingValue") -> int:
    """A rating from 0 to 10 with at most one decimal, in tenths. Raises InvalidRating."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        tenths = _TENTHS_BY_VALUE.get(value)
        if tenths is not None:
            return tenths
    raise InvalidRating(field, f"{_shown(value)} is not {_VALUE_RULE}")


def checked_id(value: object, *, field: str, empty_allowed: bool = False) -> str:
    """An id's text; a JSON number is taken as it was written. Raises InvalidRating."""
    text = _id_text(value)
    if text is None:
        raise InvalidRating(field, f"{_shown(value)} is not {_ID_RULE}")
    if not text and not empty_allowed:
        raise InvalidRating(field, f"it is empty: it must be {_ID_RULE}")
    if len(text) > MAX_ID_LENGTH:
        raise InvalidRating(field, f"it has {len(text)} characters: it must be {_ID_RULE}")
    if "\x00" in text:
        raise InvalidRating(field, "it has a NUL character, which Postgres cannot store")
    if not text.isascii():
        _refuse_surrogates(text, field)
    return text


def rating_event(
    *, record_type: object, record_id: object, provider_id: object, user_id: object, tenths: int | None
) -> RatingEvent:
    """An event of four ids that are checked here and a value that `tenths_of` gave. Raises InvalidRating."""
    return RatingEvent(
        record_type=checked_id(record_type, field="recordType"),
        record_id=checked_id(record_id, field="recordId"),
        provider_id=checked_id("" if provider_id is None else provider_id, field="providerId", empty_allowed=True),
        user_id=checked_id(user_id, field="userId"),
        tenths=tenths,
    )


def decode_event(payload: bytes | None) -> RatingEvent:
    """The event that a message's value holds. Raises InvalidRating with the field and the reason, nothing else."""
    if not payload:
        raise InvalidRating("", "the message has no value")
    if _BACKSLASH in payload and b"\\u" in payload:  # an escape may stand for a NUL or for half a surrogate pair
        return event_from_json(_parsed(payload))
    try:
        wire = _decode_wire(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return event_from_json(_parsed(payload))  # names the fault, or accepts the contract's rarer spellings
    if wire.event_type == "delete":
        return RatingEvent(wire.record_type, wire.record_id, wire.provider_id, wire.user_id, None)
    value = wire.rating_value
    if wire.value is not None:
        value = wire.value if value is None else None
    tenths = _TENTHS_BY_VALUE.get(value)
    if tenths is None:  # none, two, or not a rating: told as it was written
        return event_from_json(_parsed(payload))
    return RatingEvent(wire.record_type, wire.record_id, wire.provider_id, wire.user_id, tenths)


def event_from_json(event: object) -> RatingEvent:
    """The event that one parsed JSON value holds. Raises InvalidRating."""
    if not isinstance(event, dict):
        raise InvalidRating("", f"the event is {_json_kind(event)}, not an object")
    for field in ("recordId", "recordType", "userId", "eventType"):
        if event.get(field) is None:
            raise InvalidRating(field, "it is missing")
    tenths: int | None
    match event["eventType"]:
        case "put":
            tenths = _one_value(event.get("ratingValue"), event.get("value"))
        case "delete":
            tenths = None
        case other:
            raise InvalidRating("eventType", f'{_shown(other)} is neither "put" nor "delete"')
    return rating_event(
        record_type=event["recordType"],
        record_id=event["recordId"],
        provider_id=event.get("providerId"),
        user_id=event["userId"],
        tenths=tenths,
    )


def person_named(payload: bytes) -> tuple[str | None, str] | None:
    """Provider and user that a message names, be it a valid event or not; None where it names no user.

    The provider is "" where none is given, and None where what is given cannot be one.
    """
    try:
        event = _parsed(payload)
        user_id = checked_id(event.get("userId"), field="userId") if isinstance(event, dict) else None
    except InvalidRating:
        return None
    if not isinstance(event, dict) or user_id is None:
        return None
    try:
        provider_id = checked_id(event.get("providerId") or "", field="providerId", empty_allowed=True)
    except InvalidRating:
        return None, user_id
    return provider_id, user_id


def encode_event(event: RatingEvent) -> bytes:
    """The event as a message's value, in the contract's own dialect."""
    wire: dict[str, object] = {
        "recordId": event.record_id,
        "recordType": event.record_type,
        "userId": event.user_id,
    }
    if event.provider_id:
        wire["providerId"] = event.provider_id
    if event.tenths is not None:
        wire["ratingValue"] = event.tenths // 10 if event.tenths % 10 == 0 else event.tenths / 10
    wire["eventType"] = "delete" if event.tenths is None else "put"
    return msgspec.json.encode(wire)


def partition_key(event: RatingEvent) -> bytes:
    """The Kafka key that our producers give an event: all ratings of one record share a partition."""
    return f"{event.record_type}:{event.record_id}".encode()


def _one_value(rating_value: object, value: object) -> int:
    """ratingValue, or value in the book's dialect; both only when they are equal."""
    if rating_value is None and value is None:
        raise InvalidRating("ratingValue", f"a put needs {_VALUE_RULE}")
    if rating_value is None:
        return tenths_of(value, field="value")
    tenths = tenths_of(rating_value)
    if value is not None and tenths_of(value, field="value") != tenths:
        raise InvalidRating(
            "ratingValue", f"it is {_shown(rating_value)} while value is {_shown(value)}: give one of them"
        )
    return tenths


def _number(text: str) -> _Number:
    number = _Number(text)
    number.text = text
    return number


def _id_text(value: object) -> str | None:
    """What stands for an id, or None for what cannot."""
    if type(value) is str:
        return value
    if isinstance(value, _Number):
        return value.text
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return None


def _parsed(payload: bytes) -> object:
    try:
        text = payload.decode("utf-8")
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_number, parse_int=_number)
    except UnicodeDecodeError as error:
        raise InvalidRating("", f"the message is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise InvalidRating("", "the message is nested too deeply") from None
    except ValueError as error:
        position = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidRating("", f"the message is not JSON{position}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRating("", f"the message is not JSON: {name} is not a JSON number")


def _refuse_surrogates(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRating(field, "it has half of a surrogate pair, which is no character") from None


def _json_kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _shown(value: object) -> str:
    """A value as an error message may show it: short, and never more of a person's data than a number."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return (value.text if isinstance(value, _Number) else repr(value))[:32]
    return _json_kind(value)

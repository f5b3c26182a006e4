"""The bytes of one JSON event as a RatingEvent, with the caller's defaults applied."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import msgspec

from ratings.errors import InvalidRating
from ratings.events import RatingEvent, decode_event, event_from_json
from workers.ingestion.sending.files.events import Defaults
from workers.ingestion.sending.files.scale import Scale, decimal_of

_CACHED_NUMBERS = 1_000


class _NumberText(str):
    """A JSON number with a fraction or an exponent, as it was written: a float would not map exactly."""


_parse: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=_NumberText).decode


def event_decoder(defaults: Defaults) -> Callable[[bytes], RatingEvent]:
    """A function from an event's bytes to the event, which raises InvalidRating. As fast as the defaults allow."""
    decode = decode_event if defaults.scale is None else _scaling_decoder(defaults.scale)
    if not defaults.provider:
        return decode
    provider = defaults.provider

    def decode_with_provider(payload: bytes) -> RatingEvent:
        event = decode(payload)
        if event.provider_id:
            return event
        return RatingEvent(event.record_type, event.record_id, provider, event.user_id, event.tenths)

    return decode_with_provider


def _scaling_decoder(scale: Scale) -> Callable[[bytes], RatingEvent]:
    map_number = lru_cache(maxsize=_CACHED_NUMBERS)(partial(_mapped_number, scale))

    def mapped(name: str, value: object) -> object:
        if name in ("ratingValue", "value") and _is_number(value):
            return map_number(name, str(value))
        return str(value) if isinstance(value, _NumberText) else value

    def decode_scaled(payload: bytes) -> RatingEvent:
        try:
            event = _parse(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return decode_event(payload)  # names what is wrong with it
        if not isinstance(event, dict):
            return event_from_json(event)
        return event_from_json({name: mapped(name, value) for name, value in event.items()})

    return decode_scaled


def _mapped_number(scale: Scale, name: str, text: str) -> float:
    try:
        number = decimal_of(text)
    except ValueError as error:
        raise InvalidRating(name, str(error)) from None
    return scale.tenths(number) / 10


def _is_number(value: object) -> bool:
    return isinstance(value, _NumberText) or (isinstance(value, int) and not isinstance(value, bool))

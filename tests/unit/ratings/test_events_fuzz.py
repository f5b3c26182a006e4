"""No bytes make the decoder fail in any other way than by refusing them, and its fast and slow path agree."""

import json
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ratings.errors import InvalidRating
from ratings.events import RatingEvent, decode_event, encode_event, event_from_json
from tests.examples import fixed, random
from tests.rating_events import damaged_events, events, near_events

payloads = st.binary(max_size=200) | near_events() | damaged_events()


def outcome(payload: bytes) -> RatingEvent | tuple[str, str]:
    try:
        return decode_event(payload)
    except InvalidRating as refused:
        return refused.field, refused.reason


def reference(payload: bytes) -> RatingEvent | None:
    """What Python's own JSON parser and the rules make of it; None where they refuse it."""
    try:
        return event_from_json(json.loads(payload.decode("utf-8"), parse_constant=refuse))
    except (InvalidRating, ValueError, RecursionError):
        return None


def refuse(constant: str) -> NoReturn:
    """JSON knows no NaN and no Infinity."""
    raise ValueError(constant)


def check(payload: bytes) -> None:
    event = outcome(payload)
    expected = reference(payload)
    if not isinstance(event, RatingEvent):
        assert expected is None
    elif expected is None:
        # The one known difference: what the fast path does not need it does not look at.
        assert event == reference(payload.decode("utf-8", errors="replace").encode())
    else:
        # A parsed float has forgotten how it was written, which as an id it keeps.
        assert event.tenths == expected.tenths
        assert decode_event(encode_event(event)) == event


@fixed(300)
@given(payloads)
@example(b'{"recordId":"1","recordType":"movie","userId":"1","userId":"2","value":1,"value":2,"eventType":"put"}')
@example(b'{"recordId":"1","recordType":"movie","userId":"1","eventType":"put","ratingValue":5,"ratingValue":null}')
@example(b'{"recordId":"1","recordType":"movie","userId":"1","eventType":"delete","providerId":"\\u0000"}')
@example(b'{"recordId":"1","recordType":"movie","userId":"1","eventType":"delete","other":"\xff"}')
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_an_event_or_refused(payload: bytes) -> None:
    check(payload)


@pytest.mark.soak
@random(20_000)
@given(payloads)
def test_any_bytes_are_an_event_or_refused_at_length(payload: bytes) -> None:
    check(payload)


@fixed(500)
@given(events)
def test_what_is_encoded_is_decoded(event: RatingEvent) -> None:
    assert decode_event(encode_event(event)) == event


@fixed(300)
@given(events)
def test_fast_and_slow_path_agree_on_every_valid_event(event: RatingEvent) -> None:
    payload = encode_event(event)
    assert event_from_json(json.loads(payload)) == event
    # An escape anywhere sends the same event down the slow path.
    assert decode_event(payload[:-1] + b',"other":"\\u0041"}') == event

"""Rating events as hypothesis draws them: valid ones, and payloads that are almost valid."""

import json
from typing import Any

from hypothesis import strategies as st

from ratings.events import MAX_ID_LENGTH, MAX_TENTHS, RatingEvent, encode_event

# Everything that Postgres can store: no NUL, no half of a surrogate pair.
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")

ids = st.text(_CHARACTERS, min_size=1, max_size=MAX_ID_LENGTH)
"""Any id that is valid."""

tenths_or_delete = st.none() | st.integers(0, MAX_TENTHS)
"""A put's value, or a delete."""

events = st.builds(
    RatingEvent,
    record_type=ids,
    record_id=ids,
    provider_id=st.just("") | ids,
    user_id=ids,
    tenths=tenths_or_delete,
)
"""Any valid event."""

_FIELDS = ["recordId", "recordType", "userId", "providerId", "eventType", "ratingValue", "value", "other"]
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.sampled_from([0, 5, 4.5, 10, 10.1, -1, "put", "delete", "", "x" * 128, "x" * 129, "a\x00", "\ud800"])
    | st.text(max_size=8)
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)


@st.composite
def near_events(draw: st.DrawFn) -> bytes:
    """A JSON object with the contract's fields: some missing, some of the wrong kind, in any order, maybe twice."""
    names = draw(st.lists(st.sampled_from(_FIELDS), max_size=10))
    base: list[tuple[str, Any]] = list(json.loads(encode_event(draw(events))).items())
    pairs = draw(st.permutations(base + [(name, draw(_VALUES)) for name in names]))
    ascii_only = draw(st.booleans())
    members = (
        json.dumps(name) + ":" + json.dumps(value, ensure_ascii=ascii_only or _has_surrogate(value))
        for name, value in pairs
    )
    return ("{" + ",".join(members) + "}").encode()


@st.composite
def damaged_events(draw: st.DrawFn) -> bytes:
    """A valid event with some bytes removed, replaced or put in."""
    payload = bytearray(encode_event(draw(events)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(payload)))
        end = draw(st.integers(start, min(start + 3, len(payload))))
        payload[start:end] = draw(
            st.binary(max_size=3) | st.sampled_from([b"\\u0000", b"\\ud800", b"\xff", b"[", b'"'])
        )
    return bytes(payload)


def _has_surrogate(value: object) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in json.dumps(value, ensure_ascii=False))

"""The rating event's contract, rule by rule."""

import json
import math
from typing import Any

import pytest

from ratings.errors import InvalidRating
from ratings.events import (
    RatingEvent,
    checked_id,
    decode_event,
    encode_event,
    event_from_json,
    partition_key,
    rating_event,
    tenths_of,
)

PUT: dict[str, Any] = {
    "recordId": "1",
    "recordType": "movie",
    "userId": "105",
    "ratingValue": 5,
    "eventType": "put",
}
ABSENT = object()


def payload(**changes: object) -> bytes:
    fields = {name: value for name, value in {**PUT, **changes}.items() if value is not ABSENT}
    return json.dumps(fields).encode()


def event(**changes: object) -> RatingEvent:
    fields: dict[str, Any] = {
        "record_type": "movie",
        "record_id": "1",
        "provider_id": "",
        "user_id": "105",
        "tenths": 50,
    }
    return RatingEvent(**{**fields, **changes})


def test_the_contracts_own_example() -> None:
    text = b'{"recordId":"1","recordType":"movie","userId":"105","ratingValue":5,"eventType":"put"}'
    assert decode_event(text) == event()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"providerId": "imdb"}, event(provider_id="imdb"), id="provider"),
        pytest.param({"providerId": ""}, event(), id="empty provider"),
        pytest.param({"providerId": None}, event(), id="null provider"),
        pytest.param({"providerId": 7}, event(provider_id="7"), id="number as provider"),
        pytest.param({"ratingValue": ABSENT, "value": 4.5}, event(tenths=45), id="the book's dialect"),
        pytest.param({"ratingValue": None, "value": 4.5}, event(tenths=45), id="null beside the book's dialect"),
        pytest.param({"value": 5.0}, event(), id="both, equal"),
        pytest.param({"value": None}, event(), id="both, one null"),
        pytest.param({"ratingValue": 0}, event(tenths=0), id="lowest"),
        pytest.param({"ratingValue": -0.0}, event(tenths=0), id="negative zero is zero"),
        pytest.param({"ratingValue": 10}, event(tenths=100), id="highest"),
        pytest.param({"recordId": 17}, event(record_id="17"), id="number as record id"),
        pytest.param({"recordType": 3}, event(record_type="3"), id="number as record type"),
        pytest.param({"userId": -105}, event(user_id="-105"), id="negative number as user id"),
        pytest.param({"userId": 1.5}, event(user_id="1.5"), id="decimal as user id"),
        pytest.param({"userId": "x" * 128}, event(user_id="x" * 128), id="longest id"),
        pytest.param({"userId": "é" * 128}, event(user_id="é" * 128), id="length counts characters, not bytes"),
        pytest.param({"userId": "\U0001f600\n\u007f"}, event(user_id="\U0001f600\n\u007f"), id="escapes"),
        pytest.param({"userId": " 105 "}, event(user_id=" 105 "), id="spaces are kept"),
        pytest.param({"eventType": "delete", "ratingValue": ABSENT}, event(tenths=None), id="delete"),
        pytest.param({"eventType": "delete"}, event(tenths=None), id="delete with a value"),
        pytest.param({"eventType": "delete", "ratingValue": "?"}, event(tenths=None), id="delete with any value"),
        pytest.param({"timestamp": 1, "nested": {"a": [1]}}, event(), id="other fields are ignored"),
    ],
)
def test_what_is_accepted(changes: dict[str, object], expected: RatingEvent) -> None:
    assert decode_event(payload(**changes)) == expected


ID_RULE = "a non-empty text of at most 128 characters"
VALUE_RULE = "a number from 0 to 10 with at most one decimal"


@pytest.mark.parametrize("field", ["recordId", "recordType", "userId"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(ABSENT, "it is missing", id="missing"),
        pytest.param(None, "it is missing", id="null"),
        pytest.param("", f"it is empty: it must be {ID_RULE}", id="empty"),
        pytest.param("x" * 129, f"it has 129 characters: it must be {ID_RULE}", id="too long"),
        pytest.param(10**128, f"it has 129 characters: it must be {ID_RULE}", id="too long a number"),
        pytest.param(True, f"true is not {ID_RULE}", id="true"),
        pytest.param([1], f"an array is not {ID_RULE}", id="array"),
        pytest.param({}, f"an object is not {ID_RULE}", id="object"),
        pytest.param("a\x00b", "it has a NUL character, which Postgres cannot store", id="NUL"),
        pytest.param("\ud800", "it has half of a surrogate pair, which is no character", id="lone surrogate"),
    ],
)
def test_a_refused_id_is_named_with_its_reason(field: str, value: object, reason: str) -> None:
    with pytest.raises(InvalidRating) as caught:
        decode_event(payload(**{field: value}))
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert str(caught.value) == f"{field}: {reason}"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        pytest.param(
            {"providerId": "x" * 129}, "providerId", f"it has 129 characters: it must be {ID_RULE}", id="provider"
        ),
        pytest.param({"providerId": False}, "providerId", f"false is not {ID_RULE}", id="false as provider"),
        pytest.param({"eventType": ABSENT}, "eventType", "it is missing", id="no type"),
        pytest.param({"eventType": "PUT"}, "eventType", 'a text is neither "put" nor "delete"', id="upper case"),
        pytest.param({"eventType": 1}, "eventType", '1 is neither "put" nor "delete"', id="number as type"),
        pytest.param({"ratingValue": ABSENT}, "ratingValue", f"a put needs {VALUE_RULE}", id="no value"),
        pytest.param({"ratingValue": None, "value": None}, "ratingValue", f"a put needs {VALUE_RULE}", id="null value"),
        pytest.param({"ratingValue": "5"}, "ratingValue", f"a text is not {VALUE_RULE}", id="text as value"),
        pytest.param({"ratingValue": True}, "ratingValue", f"true is not {VALUE_RULE}", id="true as value"),
        pytest.param({"ratingValue": [5]}, "ratingValue", f"an array is not {VALUE_RULE}", id="array as value"),
        pytest.param({"ratingValue": 10.1}, "ratingValue", f"10.1 is not {VALUE_RULE}", id="above 10"),
        pytest.param({"ratingValue": 11}, "ratingValue", f"11 is not {VALUE_RULE}", id="a whole number above 10"),
        pytest.param({"ratingValue": -0.1}, "ratingValue", f"-0.1 is not {VALUE_RULE}", id="below 0"),
        pytest.param({"ratingValue": 4.35}, "ratingValue", f"4.35 is not {VALUE_RULE}", id="two decimals"),
        pytest.param({"ratingValue": 10**400}, "ratingValue", f"{10**31} is not {VALUE_RULE}", id="shown shortened"),
        pytest.param(
            {"ratingValue": ABSENT, "value": 4.35}, "value", f"4.35 is not {VALUE_RULE}", id="the book's dialect"
        ),
        pytest.param({"value": "x"}, "value", f"a text is not {VALUE_RULE}", id="both, one wrong"),
        pytest.param({"value": 4.5}, "ratingValue", "it is 5 while value is 4.5: give one of them", id="both, unequal"),
    ],
)
def test_what_is_refused(changes: dict[str, object], field: str, reason: str) -> None:
    with pytest.raises(InvalidRating) as caught:
        decode_event(payload(**changes))
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(None, "the message has no value", id="Kafka's null"),
        pytest.param(b"", "the message has no value", id="empty"),
        pytest.param(b"{", "the message is not JSON (character 1)", id="cut off"),
        pytest.param(b"rating", "the message is not JSON (character 0)", id="a word"),
        pytest.param(payload() + b"{}", "the message is not JSON (character 95)", id="two objects"),
        pytest.param(payload()[:-1] + b',"userId":"\xff"}', "the message is not UTF-8 (byte 105)", id="not UTF-8"),
        pytest.param(payload().decode().encode("utf-16"), "the message is not UTF-8 (byte 0)", id="UTF-16"),
        pytest.param(b"[" * 100_000, "the message is nested too deeply", id="deep"),
        pytest.param(payload()[:-1] + b',"x":' + b"[" * 100_000, "the message is nested too deeply", id="deep inside"),
        pytest.param(b"null", "the event is null, not an object", id="null"),
        pytest.param(b"[]", "the event is an array, not an object", id="array"),
        pytest.param(b'"put"', "the event is a text, not an object", id="text"),
        pytest.param(b"12", "the event is a number, not an object", id="number"),
        pytest.param(b"true", "the event is true or false, not an object", id="true"),
        pytest.param(payload().replace(b" 5", b" NaN"), "the message is not JSON: NaN is not a JSON number", id="NaN"),
        pytest.param(
            payload().replace(b" 5", b" -Infinity"),
            "the message is not JSON: -Infinity is not a JSON number",
            id="infinity",
        ),
    ],
)
def test_what_is_no_event_at_all(message: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidRating) as caught:
        decode_event(message)
    assert (caught.value.field, caught.value.reason) == ("", reason)


def test_a_number_keeps_its_text_as_an_id() -> None:
    message = (
        b'{"recordId":1e3,"recordType":"movie","userId":105.0,"providerId":12345678901234567890,'
        b'"value":5e-1,"eventType":"put"}'
    )
    assert decode_event(message) == event(
        record_id="1e3", user_id="105.0", provider_id="12345678901234567890", tenths=5
    )


@pytest.mark.parametrize("tenths", range(101))
def test_every_rating_is_exact_however_it_is_written(tenths: int) -> None:
    whole, decimal = divmod(tenths, 10)
    spellings = [f"{whole}.{decimal}", f"{whole}.{decimal}0", f"{tenths}e-1"] + ([f"{whole}"] if not decimal else [])
    for spelling in spellings:
        assert decode_event(payload().replace(b" 5", f" {spelling}".encode())).tenths == tenths
    assert tenths_of(tenths / 10) == tenths


@pytest.mark.parametrize("tenths", range(101))
def test_what_is_close_to_a_rating_is_none(tenths: int) -> None:
    exact = tenths / 10
    for near in (math.nextafter(exact, -1), math.nextafter(exact, 11), exact + 0.05, exact - 0.01, exact + 1e-9):
        with pytest.raises(InvalidRating, match="at most one decimal"):
            tenths_of(near)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -1, 11, 10.1, True, False, "5", None, [5]])
def test_no_other_value_is_a_rating(value: object) -> None:
    with pytest.raises(InvalidRating) as caught:
        tenths_of(value, field="value")
    assert caught.value.field == "value"


def test_a_reason_never_repeats_a_text_from_the_message() -> None:
    for field in PUT:
        with pytest.raises(InvalidRating) as caught:
            decode_event(payload(**{field: "secret" * 100}))
        assert "secret" not in str(caught.value)


def test_an_event_is_written_in_the_contracts_dialect() -> None:
    assert json.loads(encode_event(event())) == PUT
    assert json.loads(encode_event(event(tenths=45, provider_id="imdb"))) == PUT | {
        "ratingValue": 4.5,
        "providerId": "imdb",
    }
    assert json.loads(encode_event(event(tenths=None))) == {
        name: value for name, value in PUT.items() if name != "ratingValue"
    } | {"eventType": "delete"}


def test_all_ratings_of_a_record_share_a_key() -> None:
    assert partition_key(event(record_id="é")) == "movie:é".encode()


def test_events_made_here_are_checked_like_those_that_come_in() -> None:
    made = rating_event(record_type="movie", record_id=1, provider_id=None, user_id="105", tenths=50)
    assert made == event()
    for field, names in {"recordType": "record_type", "recordId": "record_id", "userId": "user_id"}.items():
        ids: dict[str, object] = {"record_type": "movie", "record_id": "1", "provider_id": "", "user_id": "105"}
        with pytest.raises(InvalidRating) as caught:
            rating_event(**{**ids, names: ""}, tenths=50)
        assert caught.value.field == field


def test_a_parsed_event_follows_the_same_rules() -> None:
    assert event_from_json(PUT) == event()
    assert checked_id(5, field="userId") == "5"
    with pytest.raises(InvalidRating, match="true is not"):
        checked_id(True, field="userId")

"""A letter's value with fields set anew."""

import json

import pytest

from ratings.events import RatingEvent, decode_event
from tests.dead_letters import event
from workers.ingestion.dead_letters.mending import field_setting, mended_value
from workers.ingestion.errors import NotMendable


def mended(value: bytes | None, *settings: str) -> bytes:
    return mended_value(value, dict(field_setting(one) for one in settings))


def test_a_number_is_set_and_all_else_stays_as_it_was_written() -> None:
    value = (
        b'{"recordId": 1e2,"recordType":"movie", "userId":"\\u00fc", "eventType":"put","ratingValue":11, "x": [1.50]}'
    )
    after = mended(value, "ratingValue=8.5")
    assert decode_event(after) == RatingEvent("movie", "1e2", "", "ü", 85)
    assert b"[1.50]" in after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recordId=007", "007"),
        ("recordId=7", "7"),
        ("recordId=true", "true"),
        ("recordId=a=b", "a=b"),
        ("recordId=", ""),
    ],
)
def test_an_id_is_always_a_text(text: str, expected: str) -> None:
    assert json.loads(mended(event(), text))["recordId"] == expected


@pytest.mark.parametrize("text", ["ratingValue=8,5", "ratingValue=NaN", "ratingValue=", "value=Infinity"])
def test_what_is_no_number_is_a_text_which_the_contract_refuses_with_a_reason(text: str) -> None:
    field = text.partition("=")[0]
    assert json.loads(mended(event(), text))[field] == text.partition("=")[2]


def test_one_of_two_values_can_be_taken_away() -> None:
    assert decode_event(mended(event(4, value=5), "value=null")).tenths == 40


def test_a_missing_field_can_be_added() -> None:
    assert (
        decode_event(mended(b'{"recordId":"1","recordType":"movie","eventType":"delete"}', "userId=bob")).user_id
        == "bob"
    )


@pytest.mark.parametrize("value", [None, b"", b"{", b"[1]", b"\xff", b'{"ratingValue":NaN}', b"[" * 100_000, b"1"])
def test_what_is_no_object_must_be_given_whole(value: bytes | None) -> None:
    with pytest.raises(NotMendable, match="give the whole value"):
        mended(value, "ratingValue=1")


@pytest.mark.parametrize("text", ["ratingValue", "rating=5", "=5", ""])
def test_only_a_field_of_the_contract_can_be_set(text: str) -> None:
    with pytest.raises(ValueError, match="field=value with one of the fields recordId"):
        field_setting(text)

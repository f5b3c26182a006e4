"""What cannot be used is refused at once, and the message names the variable and what it wants."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ import Env

from movieapp.environment import addresses, group_name, required, secret, topic_name, whole_number

NAME = "SOME_VARIABLE"


@pytest.fixture
def env() -> Env:
    return Env()


@pytest.mark.parametrize("text", ["ratings", "a", "x" * 249, "A-b_c.9"])
def test_a_topics_name_is_kafkas(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    assert topic_name(env, NAME, default="other") == text


@pytest.mark.parametrize("text", ["", ".", "..", "a b", "a/b", "é", "ratings\n", "x" * 250])
def test_another_name_is_no_topics(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE is .*Kafka topic"):
        topic_name(env, NAME, default="other")


@pytest.mark.parametrize("text", ["rating", "x" * 255, "a group, with é"])
def test_a_groups_name_may_hold_anything_that_prints(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    assert group_name(env, NAME, default="other") == text


@pytest.mark.parametrize("text", ["", " ", "a\tb", "a\x7f", "x" * 256])
def test_another_name_is_no_groups(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE is .*consumer group"):
        group_name(env, NAME, default="other")


@pytest.mark.parametrize(("text", "number"), [("-1", -1), ("5", 5), ("9", 9)])
def test_a_number_in_its_range_or_the_special_one(
    env: Env, monkeypatch: pytest.MonkeyPatch, text: str, number: int
) -> None:
    monkeypatch.setenv(NAME, text)
    assert whole_number(env, NAME, default=7, lowest=5, highest=9, special=-1) == number


@pytest.mark.parametrize("text", ["", "4", "10", "-2", "0", "5.5", "five", "9" * 5000])
def test_another_number_is_refused(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE is .* a whole number from 5 to 9, or -1\.$"):
        whole_number(env, NAME, default=7, lowest=5, highest=9, special=-1)


def test_defaults_hold_where_nothing_is_set(env: Env) -> None:
    assert topic_name(env, NAME, default="ratings") == "ratings"
    assert group_name(env, NAME, default="rating") == "rating"
    assert whole_number(env, NAME, default=7, lowest=5, highest=9) == 7


def test_a_missing_variable_is_named_and_make_run_with_it(env: Env) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"SOME_VARIABLE: a secret\. .*`make run`.*manage\.py finds it"):
        required(env, NAME, "a secret")


def test_no_topic_is_a_topic_name_only_where_the_default_is_none(monkeypatch: pytest.MonkeyPatch, env: Env) -> None:
    assert topic_name(env, NAME, default="") == ""
    monkeypatch.setenv(NAME, "")
    assert topic_name(env, NAME, default="") == ""
    with pytest.raises(ImproperlyConfigured):
        topic_name(env, NAME, default="ratings")
    monkeypatch.setenv(NAME, "no name")
    with pytest.raises(ImproperlyConfigured):
        topic_name(env, NAME, default="")


def test_addresses_by_service(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " ratings=10.0.0.1:8082, ratings.example.org:82 ; movie=[::1]:8083;")
    assert addresses(env, NAME, default="", services=("ratings", "movie")) == {
        "ratings": [("10.0.0.1", 8082), ("ratings.example.org", 82)],
        "movie": [("::1", 8083)],
    }
    monkeypatch.setenv(NAME, "")
    assert addresses(env, NAME, default="movie=a:1", services=("movie",)) == {"movie": [("a", 1)]}


@pytest.mark.parametrize(
    "text",
    [
        *["a", "a=", "a=b", "a=b:", "a=b:0", "a=b:65536", "a=b:1,", "=b:1", "a=::1:80", "a=b:1;a=c:2", "a=b c:1"],
        *["a=b..c:1", f"a={'b' * 64}:1", "a=[:::]:1", "a=0.0.0.0:1", "a=[::0]:1", "a=0:1", "d=b:1", "a=b:1;d=b:1"],
    ],
)
def test_what_is_no_address(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE has the part .* it wants service=host:port"):
        addresses(env, NAME, default="", services=("a", "c"))


def test_a_service_that_is_none_is_told_which_there_are(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "raitings=10.0.0.1:8082")
    with pytest.raises(ImproperlyConfigured, match=r"'raitings=10.0.0.1:8082': .* \(metadata, ratings\) once"):
        addresses(env, NAME, default="ratings=a:1", services=("metadata", "ratings"))


@pytest.mark.parametrize("text", [";", " ; ;"])
def test_no_service_at_all_is_refused(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE names no service"):
        addresses(env, NAME, default="a=b:1", services=("a",))


@pytest.mark.parametrize(("text", "meant"), [("a-Token_1~", "a-Token_1~"), (" token\n", "token"), ("", "")])
def test_a_secret(env: Env, monkeypatch: pytest.MonkeyPatch, text: str, meant: str) -> None:
    monkeypatch.setenv(NAME, text)
    assert secret(env, NAME) == meant


@pytest.mark.parametrize("text", ["tok\nen", "tok\r\nen", "tok en", "tökén", "tok\x7fen"])
def test_a_secret_that_cannot_be_sent_is_not_shown(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE has a character") as refused:
        secret(env, NAME)
    assert "tok" not in str(refused.value).replace("token", "")

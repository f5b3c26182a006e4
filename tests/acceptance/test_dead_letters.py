"""`manage.py dead_letters`, run as people run it, and beside a consumer."""

import base64
import json
from pathlib import Path

import pytest
from confluent_kafka import Producer
from django.core.management import CommandError, call_command

from tests.dead_letters import T, event, kept_letter
from tests.fixtures.processes import Manage, StartManage
from tests.fixtures.topics import MakeTopic
from tests.rating_load import positions
from tests.rating_tables import assert_consistent, standing
from tests.waiting import wait_until
from workers.ingestion.models import DeadLetter

KEY = ("movie", "1", "", "ann")


def test_a_page_and_what_follows(manage: Manage) -> None:
    letters = [kept_letter(event(11), reason=f"number {number}\x1b[31m") for number in range(5)]
    done = manage("dead_letters", "list", "--limit", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ID", "MESSAGE", "GROUP", "TIME", "(UTC)", "TRIES", "FIELD", "REASON"]
    assert [line.split()[0] for line in lines[1:]] == [str(letters[4].pk), str(letters[3].pk)]
    assert "2023-11-14 22:13:20  1      ratingValue  number 4\\x1b[31m" in lines[1]
    assert f"3 older ones: --before {letters[3].pk} shows them." in done.stderr
    kept_letter()
    more = manage("dead_letters", "list", "--limit", "9", "--before", str(letters[3].pk), "--format", "json")
    assert [json.loads(line)["id"] for line in more.stdout.splitlines()] == [letters[number].pk for number in (2, 1, 0)]
    assert more.stderr == ""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--group", "second"], {"b"}),
        (["--topic", "other"], {"c"}),
        (["--partition", "7"], {"d"}),
        (["--field", ""], {"e"}),
        (["--reason-contains", "NOT JSON"], {"f"}),
        (["--since", "2h"], {"a", "b", "c", "d", "e", "f"}),
        (["--since", "2999-01-01"], set()),
        (["--partition", "3", "--field", "ratingValue", "--topic", "ratings", "--group", "rating"], {"a", "f"}),
    ],
)
@pytest.mark.django_db
def test_filters(options: list[str], found: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    letters = {
        "a": kept_letter(),
        "b": kept_letter(group="second"),
        "c": kept_letter(topic="other"),
        "d": kept_letter(partition=7),
        "e": kept_letter(field=""),
        "f": kept_letter(reason="it is not JSON (character 1)"),
    }
    call_command("dead_letters", "list", "--format", "json", *options)
    ids = {json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()}
    assert {name for name, letter in letters.items() if letter.pk in ids} == found


def test_a_letter_is_shown_whole_and_given_back_byte_by_byte(
    manage: Manage, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = [["trace\x1b", base64.b64encode(b"\x00\xff").decode()], ["empty", None]]
    letter = kept_letter(b'{"a\x1b[2J": 1}', key=b"k\xff", headers=headers)
    call_command("dead_letters", "show", str(letter.pk))
    shown = capsys.readouterr().out
    for text in (
        str(letter),
        "2023-11-14T22:13:20.123456+00:00",
        "(not UTF-8) 6b ff",
        r'{"a\x1b[2J": 1}',
        r"trace\x1b: ",
    ):
        assert text in shown
    assert "\x1b" not in shown
    call_command("dead_letters", "show", str(letter.pk), "--format", "json")
    whole = json.loads(capsys.readouterr().out)
    assert base64.b64decode(whole["value"]) == b'{"a\x1b[2J": 1}'
    assert whole["headers"] == headers
    assert manage("dead_letters", "show", str(letter.pk), "--raw", "value").stdout == '{"a\x1b[2J": 1}'
    with pytest.raises(CommandError, match="There is no dead letter 999999999"):
        call_command("dead_letters", "show", "999999999")


def test_letters_are_replayed_by_their_ids_and_each_says_what_became_of_it(manage: Manage) -> None:
    first = kept_letter(event(5), time=T)
    newer = kept_letter(event(None), time=T + 1)
    bad = kept_letter(event(11))
    done = manage("dead_letters", "replay", str(first.pk), str(newer.pk), str(bad.pk), "999999999")
    assert done.returncode == 1
    assert f"{first.pk}: superseded" in done.stdout
    assert f"{newer.pk}: applied" in done.stdout
    assert f"{bad.pk}: failed: ratingValue: 11 is not a number" in done.stdout
    assert "999999999: there is no such letter" in done.stdout
    assert (standing("movie")[KEY].tenths, standing("movie")[KEY].written_at) == (None, T + 1)
    assert list(DeadLetter.objects.values_list("pk", "attempts")) == [(bad.pk, 2)]


def test_a_letter_is_mended_by_its_fields_from_a_file_and_from_standard_input(manage: Manage, tmp_path: Path) -> None:
    by_field, by_file, by_input = kept_letter(event(11)), kept_letter(b"{", time=T + 1), kept_letter(b"{", time=T + 2)
    with pytest.raises(CommandError, match=r"Nothing was applied.* ratingValue: 12 is not a number"):
        call_command("dead_letters", "replay", str(by_field.pk), "--set", "ratingValue=12")
    assert manage("dead_letters", "replay", str(by_field.pk), "--set", "ratingValue=1.5").returncode == 0
    assert standing("movie")[KEY].tenths == 15
    (tmp_path / "value").write_bytes(event(2))
    call_command("dead_letters", "replay", str(by_file.pk), "--value", str(tmp_path / "value"))
    assert standing("movie")[KEY].tenths == 20
    done = manage("dead_letters", "replay", str(by_input.pk), "--value", "-", input=event(3))
    assert (done.returncode, done.stdout) == (0, f"{by_input.pk}: applied\n")
    assert (standing("movie")[KEY].tenths, standing("movie")[KEY].written_at) == (30, T + 2)


def test_all_that_match_are_replayed_or_discarded(manage: Manage, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(40):
        kept_letter(event(number % 11, user=str(number)))
    bad, other = kept_letter(event(11)), kept_letter(event(1), topic="other")
    silent = manage("dead_letters", "replay", "--all", "--topic", "ratings")
    assert silent.returncode == 1
    assert "Replay 41 dead letters? Nothing was done: there is no terminal to ask on. Give --yes" in silent.stderr
    assert DeadLetter.objects.count() == 42
    done = manage("dead_letters", "replay", "--all", "--topic", "ratings", "--yes")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith(f"{bad.pk}: failed: ratingValue: 11")
    assert done.stdout.splitlines()[-1] == "Replay: 40 applied, 1 failed."
    assert set(DeadLetter.objects.all()) == {bad, other}
    assert_consistent()
    for expected in ("Discard: 2 discarded.\n", "No dead letters match.\n"):
        call_command("dead_letters", "discard", "--all", "--yes")
        assert capsys.readouterr().out == expected


@pytest.mark.parametrize(("typed", "left"), [("y", 0), ("no", 1), ("", 1)])
@pytest.mark.django_db(transaction=True)
def test_a_person_is_asked(
    typed: str, left: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept_letter(event(5))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda: typed)
    if left:
        with pytest.raises(CommandError, match="not confirmed"):
            call_command("dead_letters", "discard", "--all")
    else:
        call_command("dead_letters", "discard", "--all")
    assert "Discard 1 dead letter? [y/N]" in capsys.readouterr().out
    assert DeadLetter.objects.count() == left


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["replay", "1", "--all"],
        ["discard", "1", "--topic", "x"],
        ["replay", "1", "2", "--value", "-"],
        ["replay", "--all", "--set", "userId=1"],
    ],
)
def test_wrong_choices_are_explained(arguments: list[str]) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("dead_letters", *arguments)
    assert refused.value.returncode == 2


def test_a_replay_beside_a_consumer_never_takes_a_newer_write_back(
    manage: Manage, start_manage: StartManage, make_topic: MakeTopic, kafka_bootstrap_servers: str
) -> None:
    topic = make_topic(partitions=1)
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers, "linger.ms": 0, "enable.idempotence": True})
    for user in range(30):
        producer.produce(topic, event(11, user=f"u{user}"), partition=0)
    producer.flush(30)
    start_manage("consume_ratings", "--topic", topic)
    wait_until(lambda: DeadLetter.objects.count() == 30)
    # A delete that comes after the letter, for every second user.
    for user in range(0, 30, 2):
        producer.produce(topic, event(None, user=f"u{user}"), partition=0)
    producer.flush(30)
    wait_until(lambda: sum(positions(topic).values()) == 45)
    for letter in DeadLetter.objects.all():
        DeadLetter.objects.filter(pk=letter.pk).update(value=bytes(letter.value or b"").replace(b": 11", b": 10"))
    done = manage("dead_letters", "replay", "--all", "--yes")
    assert (done.returncode, done.stdout) == (0, "Replay: 15 applied, 15 superseded.\n")
    found = {key[3]: rating.tenths for key, rating in standing("movie").items()}
    assert found == {f"u{user}": None if user % 2 == 0 else 100 for user in range(30)}
    assert_consistent()

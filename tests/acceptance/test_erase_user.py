"""`manage.py erase_user`, run as people run it."""

import json
from itertools import count

import pytest
from django.core.management import CommandError, call_command

from ratings.events import RatingEvent
from ratings.selectors import aggregate_get, raters_get
from ratings.services import ratings_write_now
from tests.fixtures.processes import Manage
from tests.rating_tables import assert_consistent, rows, standing
from workers.ingestion.models import DeadLetter

offsets = count()


def event(tenths: int | None, *, record: str = "1", user: str = "ann", provider: str = "") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, tenths)


def dead_letter(value: bytes | None) -> DeadLetter:
    return DeadLetter.objects.create(
        group="rating",
        cluster_id="c",
        topic_id="t",
        topic="ratings",
        partition=0,
        offset=next(offsets),
        value=value,
        reason="for a test",
    )


def letter_of(user: object, **fields: object) -> bytes:
    return json.dumps({"recordId": "1", "userId": user, "ratingValue": 99, **fields}).encode()


def answers(monkeypatch: pytest.MonkeyPatch, answer: str | type[BaseException]) -> None:
    """A person at a terminal, who types this or presses a key."""

    def read() -> str:
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", read)


@pytest.fixture
def ratings(transactional_db: None) -> None:
    ratings_write_now(
        [
            event(10),
            event(20, record="2"),
            event(None, record="3"),
            event(30, provider="imdb"),
            event(40, user="bob"),
            event(50, user="anna"),
        ]
    )


@pytest.mark.usefixtures("ratings")
def test_one_person_of_one_provider_is_removed(manage: Manage) -> None:
    dead_letter(letter_of("ann"))
    kept = [dead_letter(letter_of("ann", providerId="imdb")), dead_letter(letter_of("bob"))]
    done = manage("erase_user", "ann", "--provider", "", "--yes")
    assert done.returncode == 0, done.stderr
    assert "no provider: 2 ratings, 1 trace of deleted ratings" in done.stdout
    assert "Removed: 2 ratings, 1 trace of deleted ratings, 1 id, 1 dead letter." in done.stdout
    assert "still in Kafka bring them back" in done.stdout
    assert [rater.provider_id for rater in raters_get(user_id="ann")] == ["imdb"]
    assert list(DeadLetter.objects.order_by("pk")) == kept
    assert {key[1:] for key in standing("movie")} == {("1", "imdb", "ann"), ("1", "", "bob"), ("1", "", "anna")}
    found = aggregate_get(record_type="movie", record_id="1")
    assert found is not None
    assert (found.count, found.total) == (3, 120)
    assert aggregate_get(record_type="movie", record_id="2") is None
    assert_consistent()


@pytest.mark.usefixtures("ratings")
def test_all_providers_after_a_yes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers(monkeypatch, "y")
    call_command("erase_user", "ann", "--all-providers")
    said = capsys.readouterr().out
    assert "Remove all of this? It cannot be undone. [y/N]" in said
    assert "provider 'imdb': 1 rating, 0 traces of deleted ratings" in said
    assert "Removed: 3 ratings, 1 trace of deleted ratings, 2 ids, 0 dead letters." in said
    assert raters_get(user_id="ann") == []
    assert {key[3] for key in standing("movie")} == {"bob", "anna"}
    assert rows("SELECT user_id FROM ratings_rater ORDER BY user_id") == [("anna",), ("bob",)]
    assert_consistent()


@pytest.mark.usefixtures("ratings")
@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("", 1, "Nothing was removed: not confirmed."),
        ("yesterday", 1, "Nothing was removed: not confirmed."),
        (EOFError, 1, "Nothing was removed: not confirmed."),
        (KeyboardInterrupt, 130, "Nothing was removed: stopped by Ctrl-C."),
    ],
)
def test_nothing_happens_without_a_yes(
    monkeypatch: pytest.MonkeyPatch, answer: str | type[BaseException], code: int, said: str
) -> None:
    answers(monkeypatch, answer)
    before = standing("movie")
    with pytest.raises(CommandError) as refused:
        call_command("erase_user", "ann", "--all-providers")
    assert (str(refused.value), refused.value.returncode) == (said, code)
    assert standing("movie") == before


@pytest.mark.usefixtures("ratings")
def test_without_a_terminal_it_does_not_ask(manage: Manage) -> None:
    before = standing("movie")
    done = manage("erase_user", "ann", "--all-providers", input=b"y\n")
    assert done.returncode == 1
    assert "Nothing was removed: there is no terminal to ask on. Give --yes" in done.stderr
    assert standing("movie") == before


@pytest.mark.usefixtures("ratings")
def test_an_unknown_user_is_told(manage: Manage) -> None:
    done = manage("erase_user", "joe", "--all-providers", "--yes")
    assert done.returncode == 1
    assert "Nothing is stored about user 'joe'." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("ratings")
def test_a_user_of_other_providers_is_told_which(manage: Manage) -> None:
    done = manage("erase_user", "ann", "--provider", "netflix", "--yes")
    assert done.returncode == 1
    assert "Nothing is stored about user 'ann' from provider 'netflix'." in done.stderr
    assert "without a provider, from provider 'imdb'" in done.stderr


def test_wrong_options_are_explained(manage: Manage) -> None:
    done = manage("erase_user", "ann")
    assert done.returncode == 2
    assert "--provider --all-providers is required" in done.stderr

"""Erasing a user: which dead letters name them, and that writers at work do not bring them back."""

import json
import threading
from collections.abc import Callable
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.selectors import KnownRater, raters_get
from ratings.services import rating_writes, ratings_write, ratings_write_now
from tests.rating_tables import assert_consistent, own_connection, standing
from workers.ingestion.erasure import PersonalData, erase_user, unclear_in_words
from workers.ingestion.errors import UnknownUser
from workers.ingestion.models import DeadLetter

pytestmark = pytest.mark.django_db(transaction=True)

offsets = count()


def put(user: str, *, provider: str = "", record: str = "1") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, 50)


def dead_letter(value: bytes | None) -> None:
    DeadLetter.objects.create(
        group="g", cluster_id="c", topic_id="t", topic="r", partition=0, offset=next(offsets), value=value, reason="?"
    )


def erase(user: str, provider: str | None = None) -> PersonalData | None:
    return erase_user(user_id=user, provider_id=provider, confirm=lambda found: True)


NAMED = [
    pytest.param(b'{"userId":"105"}', id="text"),
    pytest.param(b'{"userId":105,"recordId":"1"}', id="number"),
    pytest.param(b'{"userId":"\\u0031\\u00305"}', id="escaped"),
    pytest.param(b'{"userId":"105","ratingValue":"great","eventType":"put"}', id="otherwise wrong"),
    pytest.param(b'{"userId":"7","userId":"105"}', id="named twice: the last counts"),
    pytest.param(b'{"userId":"105","providerId":null}', id="null as provider"),
    pytest.param(b'{"userId":"105","providerId":""}', id="empty provider"),
]
OTHERS = [
    pytest.param(b'{"userId":"1050"}', id="longer"),
    pytest.param(b'{"userId":"7","recordId":"105"}', id="a record of that name"),
    pytest.param(b'{"userId":"105","userId":"7"}', id="named twice: the first does not count"),
    pytest.param(b'{"userId":105.0}', id="a number that is written in another way"),
    pytest.param(None, id="no value"),
]
UNCLEAR = [
    pytest.param(b'{"userId":"105"', id="cut off"),
    pytest.param(b'[{"userId":"105"}]', id="an array"),
    pytest.param(b'{"user":"105"}', id="another field"),
    pytest.param(b"\xff105", id="not UTF-8"),
    pytest.param(b'{"userId":["105"]}', id="a list as user"),
]


@pytest.mark.parametrize("provider", ["", None])
@pytest.mark.parametrize("value", NAMED)
def test_a_dead_letter_that_names_the_user_is_removed(value: bytes, provider: str | None) -> None:
    dead_letter(value)
    assert erase("105", provider) == PersonalData(raters=(), dead_letters=1, unclear_letters=())
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("value", OTHERS)
def test_a_dead_letter_of_somebody_else_stays(value: bytes | None) -> None:
    ratings_write_now([put("105")])
    dead_letter(value)
    assert erase("105") == PersonalData(raters=(KnownRater("", 1, 0),), dead_letters=0, unclear_letters=())
    assert DeadLetter.objects.count() == 1


@pytest.mark.parametrize("value", UNCLEAR)
def test_a_dead_letter_that_cannot_be_told_stays_and_is_named(value: bytes) -> None:
    dead_letter(value)
    left = DeadLetter.objects.get().pk
    with pytest.raises(UnknownUser, match=rf"1 dead letter holds .* compare: {left}\. `manage.py dead_letters"):
        erase("105")
    ratings_write_now([put("105")])
    removed = erase("105")
    assert removed is not None
    assert (removed.dead_letters, removed.unclear_letters) == (0, (left,))
    assert DeadLetter.objects.count() == 1


def test_the_provider_is_compared_too() -> None:
    for provider in ("imdb", "IMDB", "", 7, ["imdb"]):
        dead_letter(json.dumps({"userId": "é", "providerId": provider}).encode())
    assert erase("é", "imdb") == PersonalData(raters=(), dead_letters=1, unclear_letters=())
    assert erase("é", "7") == PersonalData(raters=(), dead_letters=1, unclear_letters=())
    assert DeadLetter.objects.count() == 3
    assert erase("é") == PersonalData(raters=(), dead_letters=3, unclear_letters=())


def test_the_first_twenty_that_cannot_be_told_are_named() -> None:
    assert unclear_in_words((7,)).startswith("1 dead letter holds this text")
    assert ": 7. `manage.py dead_letters show ID`" in unclear_in_words((7,))
    assert ", 20. `manage.py" in unclear_in_words(range(1, 21))
    words = unclear_in_words(range(1, 1022))
    assert words.startswith("1,021 dead letters hold this text")
    assert ", 19, 20, …. `manage.py" in words


def test_a_provider_that_cannot_be_told_is_left_to_a_person() -> None:
    dead_letter(b'{"userId":"ann","providerId":["imdb"]}')
    with pytest.raises(UnknownUser, match="hold"):
        erase("ann", "imdb")
    assert erase("ann") == PersonalData(raters=(), dead_letters=1, unclear_letters=())


def test_what_is_shown_is_what_is_removed() -> None:
    ratings_write_now([put("ann"), put("ann", record="2"), put("ann", provider="imdb"), put("bob")])
    ratings_write_now([RatingEvent("movie", "3", "imdb", "ann", None)])
    shown: list[PersonalData] = []

    def confirm(found: PersonalData) -> bool:
        shown.append(found)
        return True

    removed = erase_user(user_id="ann", provider_id=None, confirm=confirm)
    assert removed == shown[0]
    assert removed.raters == (KnownRater("", 2, 0), KnownRater("imdb", 1, 1))
    assert raters_get(user_id="ann") == []
    assert {key[3] for key in standing("movie")} == {"bob"}
    assert_consistent()


def test_without_a_yes_nothing_is_touched() -> None:
    ratings_write_now([put("ann")])
    dead_letter(b'{"userId":"ann"}')
    before = standing("movie")
    assert erase_user(user_id="ann", provider_id=None, confirm=lambda found: False) is None
    assert standing("movie") == before
    assert DeadLetter.objects.count() == 1


def test_all_of_it_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings_write_now([put("ann"), put("ann", provider="imdb")])
    dead_letter(b'{"userId":"ann"}')
    before = standing("movie")
    from workers.ingestion import erasure

    whole = erasure.rater_erase

    def broken(*, provider_id: str, user_id: str) -> object:
        if provider_id == "imdb":
            raise RuntimeError("the power is gone")
        return whole(provider_id=provider_id, user_id=user_id)

    monkeypatch.setattr(erasure, "rater_erase", broken)
    with pytest.raises(RuntimeError):
        erase("ann")
    assert standing("movie") == before
    assert DeadLetter.objects.count() == 1


def test_ctrl_c_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings_write_now([put("ann"), put("ann", provider="imdb")])
    before = standing("movie")
    from workers.ingestion import erasure

    whole = erasure.rater_erase

    def interrupted(*, provider_id: str, user_id: str) -> object:
        whole(provider_id=provider_id, user_id=user_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(erasure, "rater_erase", interrupted)
    with pytest.raises(CommandError, match="Stopped by Ctrl-C: nothing was removed") as stopped:
        call_command("erase_user", "ann", "--all-providers", "--yes")
    assert stopped.value.returncode == 130
    assert standing("movie") == before


def test_a_consumer_that_is_in_the_middle_of_its_work_cannot_write_under_an_erased_id() -> None:
    """While the user is asked, a consumer goes on; what it commits before the erasure goes with the rest."""
    interner = Interner()
    with own_connection() as connection, connection.cursor() as cursor:
        first = rating_writes(cursor, interner, [put("ann")], [1])
        with connection.transaction():
            ratings_write(cursor, first)

        def confirm(found: PersonalData) -> bool:
            second = rating_writes(cursor, interner, [put("ann", record="2")], [2])
            with connection.transaction():
                ratings_write(cursor, second)
            return True

        removed = erase_user(user_id="ann", provider_id=None, confirm=confirm)
    assert removed is not None
    assert removed.raters == (KnownRater("", 2, 0),)
    assert standing("movie") == {}
    assert_consistent()


def test_two_operators_at_once() -> None:
    ratings_write_now([put("ann", record=str(number)) for number in range(50)])
    results: list[object] = []

    def run(work: Callable[[], object]) -> None:
        try:
            results.append(work())
        except UnknownUser as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(lambda: erase("ann"),), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    removed = [sum(rater.ratings for rater in r.raters) for r in results if isinstance(r, PersonalData)]
    assert len(results) == 2
    assert sum(removed) == 50
    assert standing("movie") == {}
    assert_consistent()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ann", "--provider", "x", "--all-providers"], "not allowed with argument"),
        (["", "--all-providers"], "user id: it is empty"),
        (["x" * 129, "--all-providers"], "user id: it has 129 characters"),
        (["ann", "--provider", "x" * 129], "provider: it has 129 characters"),
        (["a\x00", "--all-providers"], "user id: it has a NUL character"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("erase_user", *arguments)

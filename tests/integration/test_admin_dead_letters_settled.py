"""Replays and discards in the browser: asked first, bounded requests, for those who may, with reasons on failure."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from ratings.selectors import aggregate_get
from tests.dead_letters import event, kept_letter
from workers.ingestion.models import DeadLetter

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/ingestion/deadletter/"


def user_with(*permissions: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{one}_deadletter" for one in permissions]))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def told(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def answer(client: Client, page: Any, path: str = LIST) -> Any:
    """Sends the form of a page that asks, as it is."""
    form = page.content.decode().partition('<form method="post">')[2]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(value)
    return client.post(path, fields)


def choose(client: Client, action: str, *letters: DeadLetter, across: bool = False, path: str = LIST) -> Any:
    chosen = {
        "action": action,
        "index": "0",
        "select_across": str(int(across)),
        "_selected_action": [one.pk for one in letters],
    }
    return client.post(path, chosen)


def count(record: str = "1") -> int:
    aggregate = aggregate_get(record_type="movie", record_id=record)
    return 0 if aggregate is None else aggregate.count


def test_ticked_letters_are_replayed_once_that_is_confirmed(admin: Client) -> None:
    letters = [kept_letter(event(8, user=str(user))) for user in range(3)]
    page = choose(admin, "replay", *letters[:2])
    assert "Replay 2 dead letters?" in page.content.decode()
    assert DeadLetter.objects.count() == 3
    done = answer(admin, page)
    assert done.status_code == 302
    assert told(done) == "Replay: 2 applied."
    assert list(DeadLetter.objects.all()) == letters[2:]
    assert count() == 2


def test_what_fails_is_kept_and_named(admin: Client) -> None:
    bad, good = kept_letter(event(11)), kept_letter(event(8))
    done = answer(admin, choose(admin, "replay", bad, good))
    assert told(done).startswith(f"Replay: 1 applied, 1 failed. Letter {bad.pk}, {bad}: It failed: ratingValue: 11 is")
    assert DeadLetter.objects.get().attempts == 2


def test_ticked_letters_are_discarded_once_that_is_confirmed(admin: Client) -> None:
    letters = [kept_letter() for _ in range(2)]
    page = choose(admin, "discard", letters[0])
    assert "Discard 1 dead letter?" in page.content.decode()
    assert "brings them back as new letters" in page.content.decode()
    assert told(answer(admin, page)) == "Discard: 1 discarded."
    assert list(DeadLetter.objects.all()) == letters[1:]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize(("action", "outcome"), [("replay", "applied"), ("discard", "discarded")])
def test_who_settled_which_is_in_the_log_of_the_admin(admin: Client, number: int, action: str, outcome: str) -> None:
    letters = [kept_letter(event(8, user=str(user))) for user in range(number)]
    bad = kept_letter(event(11))
    answer(admin, choose(admin, action, *letters, *([bad] if action == "replay" else [])))
    entries = LogEntry.objects.filter(user__username="root").order_by("object_id")
    assert [(entry.object_repr, entry.get_change_message()) for entry in entries] == [
        (str(letter), outcome) for letter in sorted(letters, key=lambda letter: str(letter.pk))
    ]


def test_all_that_match_are_settled_a_part_at_a_time_without_what_came_after_the_question(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.ingestion.admin.selected._SECONDS_A_REQUEST", 0)
    monkeypatch.setattr("workers.ingestion.dead_letters.selectors._CHUNK_LETTERS", 2)
    other = kept_letter(event(1), topic="other")
    letters = [kept_letter(event(8, user=str(user))) for user in range(5)]
    path = f"{LIST}?topic=ratings"
    page = choose(admin, "replay", letters[0], across=True, path=path)
    assert "Replay 5 dead letters?" in page.content.decode()
    late = kept_letter(event(8, user="late"))
    for left in (3, 1):
        page = answer(admin, page, path)
        assert f"{left} of the dead letters that you chose" in page.content.decode()
    assert answer(admin, page, path).status_code == 302
    assert set(DeadLetter.objects.all()) == {other, late}
    assert count() == 5


def test_a_letter_that_fails_is_not_met_again_in_the_same_run(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.ingestion.admin.selected._SECONDS_A_REQUEST", 0)
    monkeypatch.setattr("workers.ingestion.dead_letters.selectors._CHUNK_LETTERS", 1)
    for _ in range(2):
        kept_letter(event(11))
    page = choose(admin, "replay", DeadLetter.objects.earliest("pk"), across=True)
    page = answer(admin, page)
    assert "1 of the dead letters that you chose is left" in page.content.decode()
    assert answer(admin, page).status_code == 302
    assert set(DeadLetter.objects.values_list("attempts", flat=True)) == {2}


def test_a_letter_is_mended_and_replayed_on_its_page(admin: Client) -> None:
    letter = kept_letter(event(11))
    assert f"{LIST}{letter.pk}/replay/" in admin.get(f"{LIST}{letter.pk}/change/").content.decode()
    page = admin.get(f"{LIST}{letter.pk}/replay/").content.decode()
    assert "&quot;ratingValue&quot;: 11" in page
    typed = '{"recordId": "1", "mine": "<b>"}'
    refused = admin.post(f"{LIST}{letter.pk}/replay/", {"mend": "1", "value": typed}).content.decode()
    assert "recordType: it is missing" in refused
    assert "&quot;mine&quot;: &quot;&lt;b&gt;&quot;" in refused
    assert DeadLetter.objects.get().attempts == 1
    done = admin.post(f"{LIST}{letter.pk}/replay/", {"mend": "1", "value": event(7).decode()})
    assert (done.status_code, done["Location"]) == (302, LIST)
    assert told(done).startswith(f"Letter {letter.pk}, {letter}: The rating was applied")
    assert (count(), DeadLetter.objects.count()) == (1, 0)


def test_a_letter_is_replayed_as_it_is_and_says_why_it_fails(admin: Client) -> None:
    letter = kept_letter(event(11), reason="old")
    page = admin.post(f"{LIST}{letter.pk}/replay/", {"as_it_is": "1"})
    assert page.status_code == 200
    assert "It failed: ratingValue: 11 is not a number" in told(page)
    assert "<td>2</td>" in page.content.decode()
    good = kept_letter(event(8))
    assert "The rating was applied" in told(admin.post(f"{LIST}{good.pk}/replay/", {"as_it_is": "1"}))


@pytest.mark.parametrize("value", [b"\xff", b"a\x00", b"x" * 200_000, None])
def test_what_no_form_can_hold_is_not_put_in_one(admin: Client, value: bytes | None) -> None:
    page = admin.get(f"{LIST}{kept_letter(value).pk}/replay/").content.decode()
    assert ("no plain text" in page) == (value is not None)
    assert len(page) < 50_000


def test_a_letter_is_discarded_on_its_page_once_that_is_confirmed(admin: Client) -> None:
    letter = kept_letter()
    page = admin.get(f"{LIST}{letter.pk}/discard/").content.decode()
    assert "It cannot be undone" in page
    assert "brings it back as a new letter" in page
    assert "The letter was discarded" in told(admin.post(f"{LIST}{letter.pk}/discard/"))
    assert admin.post(f"{LIST}{letter.pk}/discard/").status_code == 404


def test_who_may_only_look_is_offered_nothing_and_may_do_nothing() -> None:
    letter = kept_letter(event(8))
    client = user_with("view")
    assert "Mend and replay" not in client.get(f"{LIST}{letter.pk}/change/").content.decode()
    for page in ("replay", "discard"):
        assert client.get(f"{LIST}{letter.pk}/{page}/").status_code == 403
        assert client.post(f"{LIST}{letter.pk}/{page}/").status_code == 403
        choose(client, page, letter)
        client.post(LIST, {"action": page, "select_across": "0", "_selected_action": [letter.pk], "up_to": "99999999"})
    assert DeadLetter.objects.count() == 1


@pytest.mark.parametrize(("may", "page", "other"), [("change", "replay", "discard"), ("delete", "discard", "replay")])
def test_each_permission_is_for_one_thing(may: str, page: str, other: str) -> None:
    letter = kept_letter(event(8))
    client = user_with("view", may)
    assert client.get(f"{LIST}{letter.pk}/{other}/").status_code == 403
    client.post(LIST, {"action": other, "select_across": "0", "_selected_action": [letter.pk], "up_to": "99999999"})
    assert DeadLetter.objects.count() == 1
    assert answer(client, choose(client, page, letter)).status_code == 302
    assert DeadLetter.objects.count() == 0


def test_pages_have_no_script_or_style_of_their_own(admin: Client) -> None:
    letter = kept_letter(event(8))
    pages = [admin.get(f"{LIST}{letter.pk}/{page}/") for page in ("replay", "discard")]
    for page in [*pages, choose(admin, "replay", letter)]:
        text = page.content.decode()
        assert "ingestion/admin.css" in text
        assert not re.search(r"<style|style=|<script(?! src)|onclick", text)

"""The admin pages of dead letters: payloads from anywhere, shown as text; none can be edited."""

import base64
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from workers.ingestion.models import DeadLetter

LIST = "/admin/ingestion/deadletter/"


@pytest.fixture
def admin(db):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def letter(**fields):
    return DeadLetter.objects.create(
        **{
            "group": "rating",
            "cluster_id": "c",
            "topic_id": "t",
            "topic": "ratings",
            "partition": 3,
            "offset": DeadLetter.objects.count(),
            "field": "ratingValue",
            "reason": "11 is not a number from 0 to 10",
            "timestamp": timezone.now(),
            **fields,
        }
    )


def detail(admin, one):
    response = admin.get(f"{LIST}{one.pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_says_where_and_why(admin):
    letter(offset=41)
    page = admin.get(LIST).content.decode()
    assert "ratings[3]@41" in page
    assert "11 is not a number from 0 to 10" in page
    assert "ratingValue" in page


def test_letters_of_two_groups_are_told_apart_by_id_group_and_time(admin):
    at = datetime(2026, 5, 4, 3, 2, 1, 123_000, tzinfo=UTC)
    letters = [letter(offset=41, group=group, timestamp=at) for group in ("rating", "second")]
    page = admin.get(LIST).content.decode()
    for one in letters:
        assert f"{LIST}{one.pk}/change/" in page
        assert f'">{one.pk}</a>' in page
        assert f'<td class="field-group">{one.group}</td>' in page
    assert page.count(">2026-05-04 03:02:01.123</td>") == 2
    assert "Time (UTC)" in page


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "2026-05-04 03:02:01.000<"),
        (datetime(2026, 5, 4, 3, 2, 1, 123_456, tzinfo=UTC), "2026-05-04 03:02:01.123456<"),
        (None, ">-<"),
    ],
)
def test_a_letters_page_has_its_time_in_full(admin, at, shown):
    one = letter(timestamp=at)
    assert shown in detail(admin, one)
    about = admin.get(f"{LIST}{one.pk}/replay/").content.decode()
    assert f"<td>{at:%Y-%m-%d %H:%M:%S.%f} UTC</td>" in about if at else "<td>not known</td>" in about


def test_the_list_leaves_payloads_in_the_database(admin):
    letter(value=b"x" * 1000)
    with CaptureQueriesContext(connection) as captured:
        admin.get(LIST)
    of_letters = [query["sql"] for query in captured if '"reason"' in query["sql"]]
    assert of_letters
    assert not any('"ingestion_deadletter"."value"' in sql for sql in of_letters)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"x": "<script>alert(1)</script>"}', "&lt;script&gt;alert(1)&lt;/script&gt;"),
        (b"\xff\xfe\x00", "(not UTF-8) ff fe 00"),
        (b"a\x1b[31mb\x00c", r"a\x1b[31mb\x00c"),
        ("\u202egnp.exe".encode(), r"\u202egnp.exe"),
        (b"", "<pre></pre>"),
        (None, "null"),
        ("é".encode() * 20_001, "bytes more"),
    ],
)
def test_a_message_is_shown_as_text(admin, value, shown):
    page = detail(admin, letter(value=value, key=value))
    assert shown in page
    assert "<script>alert" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("value", [base64.b64encode(b"<i>1</i>").decode(), "not base64!", None, 5])
def test_headers_are_shown_as_text(admin, value):
    page = detail(admin, letter(headers=[["<b>name</b>", value]]))
    assert "&lt;b&gt;name&lt;/b&gt;: " in page
    assert "<i>1</i>" not in page


def test_nothing_can_be_changed(admin):
    one = letter()
    assert admin.post(f"{LIST}{one.pk}/change/", {"reason": "x"}).status_code == 403
    assert admin.post(f"{LIST}{one.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.get(f"{LIST}add/").status_code == 403
    assert DeadLetter.objects.get().reason == one.reason


def test_search_and_filter(admin):
    letter(reason="the message is not JSON", field="")
    letter(reason="no number")
    assert len(admin.get(f"{LIST}?q=JSON").context["cl"].result_list) == 1
    by_id = admin.get(f"{LIST}?q={DeadLetter.objects.first().pk}").context["cl"].result_list
    assert [one.pk for one in by_id] == [DeadLetter.objects.first().pk]
    assert len(admin.get(f"{LIST}?field=ratingValue").context["cl"].result_list) == 1


def test_filters_offer_what_the_latest_letters_have_and_what_is_chosen(admin, monkeypatch):
    monkeypatch.setattr("workers.ingestion.admin.filters.HIGHEST_COUNT", 2)
    for topic in ("old", "b", "a"):
        letter(topic=topic)
    with CaptureQueriesContext(connection) as captured:
        topics = admin.get(LIST).context["cl"].filter_specs[0].lookup_choices
    assert topics == ["a", "b"]
    assert not any("DISTINCT" in query["sql"] for query in captured)
    page = admin.get(f"{LIST}?topic=old")
    assert page.context["cl"].filter_specs[0].lookup_choices == ["a", "b", "old"]
    assert [one.topic for one in page.context["cl"].result_list] == ["old"]

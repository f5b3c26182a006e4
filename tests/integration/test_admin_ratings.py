"""The admin pages of ratings and aggregates: every change takes the one write path."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from ratings import paging
from ratings.models import Rating, RecordAggregate
from ratings.services import rating_delete, rating_put
from tests.integration.rest_client import user_with

LIST = "/admin/ratings/rating/"


@pytest.fixture
def admin(db):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def put(record_id="7", user_id="105", tenths=45, provider_id="", record_type="movie"):
    rating_put(record_type=record_type, record_id=record_id, provider_id=provider_id, user_id=user_id, tenths=tenths)
    return Rating.objects.get(
        record__type=record_type,
        record__external_id=record_id,
        rater__provider_id=provider_id,
        rater__user_id=user_id,
    )


def form(**changes):
    return {
        "record_type": "movie",
        "record_id": "7",
        "provider_id": "",
        "user_id": "105",
        "rating_value": "4.5",
        **changes,
    }


def aggregate(record_id="7"):
    standing = RecordAggregate.objects.get(record__external_id=record_id)
    return standing.count, standing.total


def listed(response):
    return [(rating.record.external_id, rating.rater.user_id) for rating in response.context["cl"].result_list]


def test_add_keeps_the_aggregate(admin):
    assert admin.post(f"{LIST}add/", form()).status_code == 302
    assert aggregate() == (1, 45)
    assert Rating.objects.get().value == 45


def test_adding_what_is_there_replaces_it(admin):
    put(tenths=80)
    assert admin.post(f"{LIST}add/", form()).status_code == 302
    assert aggregate() == (1, 45)
    assert Rating.objects.count() == 1


def test_change_takes_the_value_and_no_other_id(admin):
    rating = put()
    response = admin.post(f"{LIST}{rating.pk}/change/", form(rating_value="10", user_id="other", record_id="8"))
    assert response.status_code == 302
    assert aggregate() == (1, 100)
    assert Rating.objects.get().pk == rating.pk


def test_delete_leaves_a_tombstone(admin):
    rating = put()
    assert admin.post(f"{LIST}{rating.pk}/delete/", {"post": "yes"}).status_code == 302
    assert aggregate() == (0, 0)
    assert Rating.objects.get().value is None
    assert listed(admin.get(LIST)) == []
    assert admin.get(f"{LIST}{rating.pk}/change/").status_code == 302  # there is none to change


def test_deleting_the_ticked_ones_never_takes_more(admin):
    ticked = [put(user_id="1"), put(user_id="2", record_id="8")]
    put(user_id="3")
    data = {
        "action": "delete_selected",
        "_selected_action": [rating.pk for rating in ticked],
        "select_across": "1",
        "post": "yes",
    }
    assert admin.post(LIST, data).status_code == 302
    assert aggregate("7") == (1, 45)
    assert aggregate("8") == (0, 0)
    assert listed(admin.get(LIST)) == [("7", "3")]


@pytest.mark.parametrize(
    "bad",
    [
        {"rating_value": "10.1"},
        {"rating_value": "-0.1"},
        {"rating_value": "4.55"},
        {"rating_value": ""},
        {"rating_value": "NaN"},
        {"record_id": ""},
        {"user_id": "x" * 129},
        {"user_id": "a\x00b"},
        {"record_type": ""},
    ],
)
def test_a_bad_rating_is_told_by_field(admin, bad):
    response = admin.post(f"{LIST}add/", form(**bad))
    assert response.status_code == 200
    assert response.context["adminform"].form.errors.keys() == bad.keys()
    assert not Rating.objects.exists()


def test_search_is_by_a_whole_id_of_any_type_and_provider(admin):
    put(record_id="7", user_id="105")
    put(record_id="7", user_id="7", provider_id="acme")
    put(record_id="8", user_id="7", provider_id="beta")
    put(record_id="7", user_id="9", record_type="book")
    put(record_id="77", user_id="77")
    found = admin.get(f"{LIST}?q=7")
    assert sorted(listed(found)) == [("7", "105"), ("7", "7"), ("7", "9"), ("8", "7")]
    assert listed(admin.get(f"{LIST}?q=10")) == []
    assert admin.get(f"{LIST}?q=%00").status_code == 200  # refused by the search box
    assert listed(admin.get(f"{LIST}?q=" + "x" * 200)) == []


def test_shows_values_as_people_write_them_and_ids_as_text(admin):
    put(user_id="<b>me</b>", tenths=100)
    page = admin.get(LIST).content.decode()
    assert '<td class="field-rating_value">10.0</td>' in page
    assert "<b>me</b>" not in page
    assert "&lt;b&gt;me&lt;/b&gt;" in page


def test_never_counts_a_large_table(admin, monkeypatch):
    monkeypatch.setattr(paging, "HIGHEST_COUNT", 2)
    for user in range(4):
        put(user_id=str(user))
    response = admin.get(LIST)
    assert response.context["cl"].result_count == 2


def test_the_log_of_changes_names_no_person(admin):
    rating = put(user_id="person-105")
    admin.post(f"{LIST}{rating.pk}/change/", form(rating_value="9.9"))
    admin.post(f"{LIST}{rating.pk}/delete/", {"post": "yes"})
    entries = LogEntry.objects.all()
    assert len(entries) == 2
    assert all("person-105" not in f"{entry.object_repr} {entry.change_message}" for entry in entries)


def test_a_viewer_changes_nothing(db):
    viewer = user_with("view_rating", name="viewer")
    viewer.is_staff = True
    viewer.save()
    client = Client()
    client.force_login(viewer)
    rating = put()
    assert client.get(LIST).status_code == 200
    assert client.get(f"{LIST}{rating.pk}/change/").status_code == 200
    assert client.post(f"{LIST}{rating.pk}/change/", form(rating_value="1")).status_code == 403
    assert client.post(f"{LIST}{rating.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert aggregate() == (1, 45)


def test_aggregates_are_only_looked_at(admin):
    put()
    rating_delete(record_type="movie", record_id="8", provider_id="", user_id="1")
    path = "/admin/ratings/recordaggregate/"
    page = admin.get(path).content.decode()
    assert '<td class="field-average">4.50</td>' in page
    assert '<td class="field-average">-</td>' in page
    assert len(admin.get(f"{path}?q=7").context["cl"].result_list) == 1
    key = RecordAggregate.objects.first().pk
    assert admin.get(f"{path}{key}/change/").status_code == 200
    assert admin.post(f"{path}{key}/change/", {"count": 5}).status_code == 403
    assert admin.get(f"{path}add/").status_code == 403
    assert admin.post(f"{path}{key}/delete/", {"post": "yes"}).status_code == 403

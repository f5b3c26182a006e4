"""Ratings and aggregates over HTTP."""

import json

import pytest

from ratings.models import Rating, RecordAggregate
from tests.integration.rest_client import errors_of
from tests.integration.rest_fixtures import reader, writer

__all__ = ["reader", "writer"]

RATING = "records/movie/7/ratings/105/"
AGGREGATE = "records/movie/7/aggregate/"


def standing():
    return {
        (rating.record.type, rating.record.external_id, rating.rater.provider_id, rating.rater.user_id): rating.value
        for rating in Rating.objects.select_related("record", "rater")
    }


def test_put_sets_and_replaces_one_rating(writer):
    response = writer.put(RATING, {"ratingValue": 4.5})
    assert response.status_code == 200
    assert response.json() == {
        "recordType": "movie",
        "recordId": "7",
        "providerId": "",
        "userId": "105",
        "ratingValue": 4.5,
    }
    assert writer.put(RATING, {"ratingValue": 8}).status_code == 200
    assert standing() == {("movie", "7", "", "105"): 80}
    assert writer.get(AGGREGATE).json()["count"] == 1


def test_put_takes_the_other_dialect_and_a_provider(writer):
    assert writer.put(f"{RATING}?provider=acme%20co", {"value": 0}).status_code == 200
    assert writer.put(RATING, {"value": 10, "ratingValue": 10.0}).status_code == 200
    assert standing() == {("movie", "7", "acme co", "105"): 0, ("movie", "7", "", "105"): 100}


def test_saying_it_again_changes_no_aggregate(writer):
    writer.put(RATING, {"ratingValue": 4.5})
    before = writer.get(AGGREGATE).json()
    writer.put(RATING, {"ratingValue": 4.5})
    assert (
        writer.get(AGGREGATE).json()
        == before
        == {
            "recordType": "movie",
            "recordId": "7",
            "average": 4.5,
            "count": 1,
            "version": 1,
        }
    )


def test_delete_is_idempotent(writer):
    writer.put(RATING, {"ratingValue": 4.5})
    writer.put("records/movie/7/ratings/106/", {"ratingValue": 6})
    for _ in range(2):
        response = writer.delete(RATING)
        assert (response.status_code, response.content) == (204, b"")
    assert writer.get(AGGREGATE).json()["average"] == 6.0


def test_delete_of_what_never_was(writer):
    assert writer.delete("records/movie/7/ratings/nobody/").status_code == 204
    assert writer.get(AGGREGATE).status_code == 404


def test_the_last_rating_gone_is_no_rating(writer):
    writer.put(RATING, {"ratingValue": 4.5})
    writer.delete(RATING)
    response = writer.get(AGGREGATE)
    assert response.status_code == 404
    assert response.json()["detail"] == "ratings not found for the record"


def test_the_average_is_the_exact_mean(writer):
    for user, value in enumerate([0.1, 0.2, 0.6]):
        writer.put(f"records/movie/7/ratings/{user}/", {"ratingValue": value})
    assert writer.get(AGGREGATE).json()["average"] == 0.3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ratingValue"),
        ({"ratingValue": None}, "ratingValue"),
        ({"ratingValue": 10.1}, "ratingValue"),
        ({"ratingValue": -1}, "ratingValue"),
        ({"ratingValue": 4.55}, "ratingValue"),
        ({"ratingValue": "5"}, "ratingValue"),
        ({"ratingValue": True}, "ratingValue"),
        ({"ratingValue": [5]}, "ratingValue"),
        ({"value": 11}, "value"),
        ({"ratingValue": 4, "value": 5}, "ratingValue"),
        ({"rating": 4}, "rating"),
        ({"ratingValue": 4, "userId": "8"}, "userId"),
        ({"ratingValue": "\ud800"}, "ratingValue"),
        ([4], ""),
        (4, ""),
    ],
)
def test_a_bad_body_is_told_by_field(writer, body, field):
    response = writer.put(RATING, body)
    assert response.status_code == 400
    assert list(errors_of(response)) == [field]
    assert standing() == {}


@pytest.mark.parametrize("value", ["1e400", "-1e400", "9" * 5000, "NaN", "Infinity"])
def test_numbers_that_are_none(writer, value):
    response = writer.send("PUT", RATING, f'{{"ratingValue": {value}}}')
    assert response.status_code == 400
    assert standing() == {}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("records/" + "x" * 129 + "/7/ratings/105/", "recordType"),
        ("records/movie/a%00b/ratings/105/", "recordId"),
        ("records/movie/7/ratings/" + "x" * 129 + "/", "userId"),
        (RATING + "?provider=" + "x" * 129, "provider"),
        (RATING + "?provider=%00", "provider"),
    ],
)
def test_ids_that_are_none(writer, path, field):
    for response in (writer.put(path, {"ratingValue": 5}), writer.delete(path)):
        assert response.status_code == 400
        assert list(errors_of(response)) == [field]
    assert not Rating.objects.exists()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("provder=a", "provder"),
        ("provider=a&Provider=a", "Provider"),
        ("provider=a&provider=a", "provider"),
        ("provider=&provider=a", "provider"),
        ("x" * 50, "x" * 40),
        ("\ud800=1".encode("utf-8", "surrogatepass").decode("latin-1"), None),
    ],
)
def test_a_query_that_says_something_else_is_refused(writer, query, field):
    for response in (writer.put(f"{RATING}?{query}", {"ratingValue": 5}), writer.delete(f"{RATING}?{query}")):
        assert response.status_code == 400
        assert field is None or list(errors_of(response)) == [field]
    assert not Rating.objects.exists()


@pytest.mark.parametrize(
    ("path", "field"),
    [("records/movie/%00/aggregate/", "recordId"), ("records/" + "x" * 129 + "/7/aggregate/", "recordType")],
)
def test_aggregates_of_ids_that_are_none(reader, path, field):
    response = reader.get(path)
    assert response.status_code == 400
    assert list(errors_of(response)) == [field]


def test_other_record_types_are_their_own(writer):
    writer.put("records/book/7/ratings/105/", {"ratingValue": 9})
    assert writer.get(AGGREGATE).status_code == 404
    assert writer.get("records/book/7/aggregate/").json()["average"] == 9.0
    assert RecordAggregate.objects.count() == 1


def test_json_is_the_only_language(writer):
    body = json.dumps({"ratingValue": 5})
    assert writer.send("PUT", RATING, body, content_type="text/plain").status_code == 415
    assert (
        writer.send("PUT", RATING, "ratingValue=5", content_type="application/x-www-form-urlencoded").status_code == 415
    )
    assert standing() == {}

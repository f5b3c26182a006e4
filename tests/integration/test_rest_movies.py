"""Movies and their details over HTTP."""

import pytest

from metadata.models import Movie
from ratings.models import RecordAggregate
from ratings.services import rating_put
from tests.integration.rest_client import errors_of
from tests.integration.rest_fixtures import reader, writer

__all__ = ["reader", "writer"]

MOVIE = {
    "id": "7",
    "title": "Sherlock Jr.",
    "description": "A projectionist dreams.",
    "director": "Buster Keaton",
    "year": 1924,
    "genres": ["Comedy", "Romance"],
}


@pytest.fixture
def movie(db):
    return Movie.objects.create(**MOVIE)


def rate(record_id, user_id, tenths):
    rating_put(record_type="movie", record_id=record_id, provider_id="", user_id=user_id, tenths=tenths)


def test_shows_a_movie(reader, movie):
    response = reader.get("movies/7/")
    assert response.status_code == 200
    assert response.json() == MOVIE


def test_there_is_no_such_movie(reader):
    response = reader.get("movies/7/")
    assert response.status_code == 404
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": 'there is no movie with the id "7"',
        "instance": "/api/v1/movies/7/",
    }


def test_details_join_the_rating(reader, movie):
    rate("7", "105", 45)
    rate("7", "106", 40)
    response = reader.get("movies/7/details/")
    assert response.status_code == 200
    assert response.json() == {"metadata": MOVIE, "rating": {"average": 4.25, "count": 2}}


def test_details_of_a_movie_that_nobody_rated(reader, movie):
    rate("8", "105", 45)
    assert reader.get("movies/7/details/").json() == {"metadata": MOVIE, "rating": None}


def test_details_of_no_movie(reader):
    rate("7", "105", 45)
    assert reader.get("movies/7/details/").status_code == 404


def test_put_makes_and_replaces(writer):
    assert writer.put("movies/7/", MOVIE).status_code == 201
    again = writer.put("movies/7/", MOVIE)
    assert (again.status_code, again.json()) == (200, MOVIE)
    shorter = writer.put("movies/7/", {"title": "  Sherlock  "})
    assert shorter.json() == {
        **MOVIE,
        "title": "Sherlock",
        "description": "",
        "director": "",
        "year": None,
        "genres": [],
    }
    assert writer.get("movies/7/").json() == shorter.json()


def test_delete_leaves_the_ratings(writer, movie):
    rate("7", "105", 45)
    assert writer.delete("movies/7/").status_code == 204
    assert writer.get("movies/7/").status_code == 404
    assert RecordAggregate.objects.get(record__external_id="7").count == 1
    assert writer.get("records/movie/7/aggregate/").json()["count"] == 1
    assert writer.delete("movies/7/").status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"title"}),
        ({"title": ""}, {"title"}),
        ({"title": "a\x00b"}, {"title"}),
        ({"title": "\ud800"}, {"title"}),
        ({"title": "A", "year": "\ud800"}, {"year"}),
        ({"title": "A", "genres": [{"\ud800": 1}]}, {"genres"}),
        ("\ud800", {""}),
        ({"title": "x" * 501}, {"title"}),
        ({"title": None, "year": 1, "genres": ["", "x" * 101]}, {"title", "year", "genres.0", "genres.1"}),
        ({"title": "A", "genres": "Comedy"}, {"genres"}),
        ({"title": "A", "genres": ["x"] * 51}, {"genres"}),
        ({"title": "A", "directer": "B"}, {"directer"}),
        ({"title": "A", "id": "8"}, {"id"}),
        ({"title": {"$gt": ""}}, {"title"}),
        ([], {""}),
        ("A", {""}),
        (None, {""}),
    ],
)
def test_a_bad_body_is_told_by_field(writer, body, fields):
    response = writer.put("movies/7/", body)
    assert response.status_code == 400
    assert errors_of(response).keys() == fields
    assert not Movie.objects.exists()


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("movies/%20a%20/", " a "),
        ("movies/a%2520b/", "a%20b"),
        ("movies/n%C3%A9w/", "néw"),
        ("movies/%3Cscript%3E/", "<script>"),
        ("movies/'%20OR%201=1--/", "' OR 1=1--"),
        ("movies/" + "x" * 128 + "/", "x" * 128),
        ("movies/details/", "details"),
    ],
)
def test_odd_ids_are_ids(writer, path, stored):
    assert writer.put(path, {"title": "A"}).status_code == 201
    assert Movie.objects.get().pk == stored
    assert writer.get(path).json()["id"] == stored


@pytest.mark.parametrize(
    "path",
    [
        "movies/a%00b/",
        "movies/" + "x" * 129 + "/",
        "movies/%20/",
        "movies/%2E/",
        "movies/%2E%2E/",
        "movies/a%0Ab/",
        "movies/%E2%80%8B/",
    ],
)
@pytest.mark.parametrize("suffix", ["", "details/"])
def test_what_cannot_be_an_id(reader, path, suffix):
    response = reader.get(path + suffix)
    assert response.status_code == 400
    assert errors_of(response).keys() == {"id"}


@pytest.mark.parametrize("path", ["movies/%20/", "movies/%2E%2E/", "movies/a%0Ab/"])
def test_what_cannot_be_an_id_is_not_made(writer, path):
    response = writer.put(path, {"title": "A"})
    assert response.status_code == 400
    assert errors_of(response).keys() == {"id"}
    assert not Movie.objects.exists()


def test_an_id_with_a_slash_has_no_address(reader):
    Movie.objects.create(id="a/b", title="A")
    response = reader.get("movies/a%2Fb/")
    assert response.status_code == 404
    assert "slash" in response.json()["detail"]

"""Every error is a problem, whoever made it."""

import pytest
from django.db import OperationalError
from django.test import Client
from knox.models import AuthToken

from movieapp.catalogue import views
from tests.integration.rest_client import PASSWORD, PROBLEM, ApiClient, basic, user_with
from tests.integration.rest_fixtures import reader, writer

__all__ = ["reader", "writer"]

WRITES = [
    ("PUT", "movies/7/"),
    ("DELETE", "movies/7/"),
    ("PUT", "records/movie/7/ratings/1/"),
    ("DELETE", "records/movie/7/ratings/1/"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_takes_credentials(reader, method, path):
    response = reader.send(method, path, '{"title": "A"}')
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_takes_permission(db, method, path):
    _, token = AuthToken.objects.create(user_with(name="bystander"))
    assert ApiClient(token).send(method, path, '{"title": "A"}').status_code == 403


def test_a_put_takes_both_permissions(db):
    _, token = AuthToken.objects.create(user_with("change_movie", "change_rating"))
    client = ApiClient(token)
    assert client.put("movies/7/", {"title": "A"}).status_code == 403
    assert client.put("records/movie/7/ratings/1/", {"ratingValue": 1}).status_code == 403


@pytest.mark.parametrize("token", ["x", "é", "\x00", "a b", "", "z" * 9000])
def test_a_made_up_token(db, token):
    response = ApiClient().send("DELETE", "movies/7/", headers={"Authorization": f"Token {token}"})
    assert response.status_code == 401


def test_a_session_writes_only_with_a_csrf_token(db):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_with("add_movie", "change_movie"))
    response = client.put("/api/v1/movies/7/", '{"title": "A"}', content_type="application/json")
    assert response.status_code == 403
    assert response["Content-Type"] == PROBLEM
    assert "CSRF" in response.json()["detail"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE"])
def test_a_method_that_is_not_there(reader, method):
    response = reader.send(method, "movies/7/")
    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) == {"GET", "PUT", "DELETE", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", ["", "nothing/", "movies/", "movies//", "records/movie/7/", "../../etc/passwd"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_address_that_is_not_there(reader, method, path):
    assert reader.send(method, path, "{}").status_code == 404


def test_an_address_without_its_slash_is_named_not_redirected(reader):
    response = reader.send("PUT", "movies/7", '{"title": "A"}')
    assert response.status_code == 404
    assert "/api/v1/movies/7/" in response.json()["detail"]


@pytest.mark.parametrize("content", ["{", "", "\x00", "{'title': 1}", "[" * 100_000, '{"title": "A"} {}', b"\xff\xfe"])
def test_a_body_that_is_not_json(writer, content):
    assert writer.send("PUT", "movies/7/", content).status_code == 400


@pytest.mark.parametrize("path", ["movies/7/", "records/movie/7/ratings/1/"])
@pytest.mark.parametrize("content", [r'{"title": "A", "ratingValue": 5, "\ud800": 1}', r'{"\udfff": {"\ud800": 1}}'])
def test_a_name_that_is_not_unicode(writer, path, content):
    response = writer.send("PUT", path, content)
    assert response.status_code == 400
    assert "name" in response.json()["detail"]


def test_a_body_that_is_too_large(writer, settings):
    body = '{"title": "A", "description": "%s"}' % ("x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    response = writer.send("PUT", "movies/7/", body)
    assert response.status_code == 413


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_the_largest_body_is_one_mebibyte(writer, more, status):
    movie = '{"title": "A"}'
    assert writer.send("PUT", "movies/7/", movie).status_code == 201
    assert writer.send("PUT", "movies/7/", movie.ljust(2**20 + more)).status_code == status


def test_a_charset_that_unpacks_itself(writer):
    response = writer.send("PUT", "movies/7/", b"x", content_type="application/json; charset=bz2_codec")
    assert response.status_code == 400


def test_a_host_that_is_not_ours(reader):
    response = reader.send("GET", "movies/7/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "evil" not in response.content.decode()


def test_an_outage_of_the_database(reader, monkeypatch):
    def fail(**_):
        raise OperationalError("connection to server at 10.0.0.5 failed")

    monkeypatch.setattr(views, "movie_details", fail)
    response = reader.get("movies/7/details/")
    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert "10.0.0.5" not in response.content.decode()


def test_a_bug_is_a_500_without_its_reason(reader, monkeypatch):
    def fail(**_):
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(views, "movie_details", fail)
    response = reader.get("movies/7/details/")
    assert response.status_code == 500
    assert "secret" not in response.content.decode()


def test_outside_the_api_errors_are_pages(client, db):
    response = client.get("/nothing/")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_logging_in_and_out(db):
    user_with("add_movie", "change_movie", name="ana", password=PASSWORD)
    answer = ApiClient().send("POST", "auth/login/", headers=basic("ana"))
    assert answer.status_code == 200
    token = answer.json()["token"]
    assert answer.json()["expiry"]
    assert not AuthToken.objects.filter(digest=token).exists()

    client = ApiClient(token)
    assert client.put("movies/7/", {"title": "A"}).status_code == 201
    assert client.send("POST", "auth/logout/").status_code == 204
    assert client.put("movies/7/", {"title": "B"}).status_code == 401


@pytest.mark.parametrize(
    "headers", [{}, basic("ana", "wrong"), basic("a\x00b"), {"Authorization": "Basic ???"}, {"Authorization": "Basic"}]
)
def test_logging_in_with_the_wrong_words(db, headers):
    user_with(name="ana", password=PASSWORD)
    response = ApiClient().send("POST", "auth/login/", headers=headers)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Basic realm="movieapp"'


def test_an_expired_token(db):
    instance, token = AuthToken.objects.create(user_with("delete_movie"))
    assert ApiClient(token).delete("movies/7/").status_code == 404
    instance.expiry = instance.created
    instance.save()
    assert ApiClient(token).delete("movies/7/").status_code == 401

"""Requests that no view could answer, refused before one sees them; through a real gunicorn where it decides."""

import http.client
import socket
import subprocess
import sys

import pytest
from django.contrib.auth.models import User
from django.test import Client

from metadata.models import Movie
from movieapp.devstack.layout import PROJECT_ROOT
from tests.integration.rest_fixtures import reader

__all__ = ["reader"]

LISTS = ["metadata/movie", "ratings/rating", "ratings/recordaggregate", "ingestion/deadletter", "auth/user"]


@pytest.fixture
def admin(db):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize("page", LISTS)
@pytest.mark.parametrize(
    "address", ["?topic=%00", "?id__exact=a%00", "?%00=1", "?released=%00", "%00/change/", "%00/history/"]
)
def test_a_nul_in_an_admin_address_is_malformed(admin, page, address):
    assert admin.get(f"/admin/{page}/").status_code == 200
    assert admin.get(f"/admin/{page}/{address}").status_code == 400


def test_a_nul_in_a_ticked_row_is_malformed(admin):
    Movie.objects.create(id="1", title="A")
    data = {"action": "delete_selected", "_selected_action": ["1", "a\x00"]}
    assert admin.post("/admin/metadata/movie/", data).status_code == 400


def test_a_nul_in_a_field_is_told_by_the_form(admin):
    response = admin.post("/admin/metadata/movie/add/", {"id": "1", "title": "a\x00"})
    assert response.status_code == 200
    assert "Null characters are not allowed" in response.content.decode()


@pytest.mark.parametrize("movie_id", [".", "..", "a\nb", "\u200b"])
def test_the_admin_takes_the_ids_that_rest_takes(admin, movie_id):
    response = admin.post("/admin/metadata/movie/add/", {"id": movie_id, "title": "A"})
    assert response.status_code == 200
    assert response.context["adminform"].errors["id"]
    assert not Movie.objects.exists()


@pytest.mark.parametrize("path", ["/admin/", "/api/v1/movies/7/"])
def test_a_nul_in_a_session_is_malformed(db, path):
    client = Client(raise_request_exception=False)
    response = client.get(path, headers={"Cookie": r'sessionid="\000aaaaaaaaaaaaaaa"'})
    assert response.status_code == 400


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_chunked_body_wants_a_length(reader, method):
    response = reader.send(method, "movies/7/", headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411
    assert "Content-Length" in response.json()["detail"]


def test_a_chunked_body_outside_the_api_wants_a_length(client):
    response = client.post("/admin/login/", headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411


def test_a_chunked_reading_is_answered(reader):
    assert reader.send("GET", "movies/7/", headers={"Transfer-Encoding": "chunked"}).status_code == 404


@pytest.fixture
def gunicorn():
    """The port of a gunicorn of our own; it needs no database for what it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "movieapp.wsgi", "--bind", f"fd://{descriptor}"),
                *("--worker-class", "gthread", "--threads", "2", "--no-control-socket", "--log-level", "error"),
            ],
            cwd=PROJECT_ROOT,
            pass_fds=(descriptor,),
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait(30)


def test_gunicorn_hands_a_chunked_body_on_as_one(gunicorn):
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn, timeout=60)
    for _ in range(2):  # the second shows that the first one's body is not taken for a request
        connection.request("PUT", "/api/v1/movies/7/", iter([b'{"title": ', b'"A"}']), encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 411
        assert response.headers["Content-Type"] == "application/problem+json"
        assert b"Content-Length" in response.read()
    connection.close()

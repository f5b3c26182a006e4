"""The admin pages of movies."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from metadata.models import Movie
from ratings.models import RecordAggregate
from ratings.services import rating_put

LIST = "/admin/metadata/movie/"


@pytest.fixture
def admin(db):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def rate(movie_id, *tenths):
    for user, value in enumerate(tenths):
        rating_put(record_type="movie", record_id=movie_id, provider_id="", user_id=str(user), tenths=value)


def titles(response):
    return [movie.title for movie in response.context["cl"].result_list]


@pytest.fixture
def movies(db):
    return Movie.objects.bulk_create(
        [
            Movie(id="1", title="Metropolis", director="Fritz Lang", year=1927),
            Movie(id="2", title="M", director="Fritz Lang", year=1931),
            Movie(id="3", title="Laura", director="Otto Preminger", year=1944),
            Movie(id="4", title="<script>alert(1)</script>"),
        ]
    )


def test_shows_average_and_count(admin, movies):
    rate("1", 45, 40)
    page = admin.get(LIST).content.decode()
    assert '<td class="field-average">4.25</td><td class="field-rating_count">2</td>' in page
    assert page.count('<td class="field-average">-</td><td class="field-rating_count">0</td>') == 3
    assert "<script>alert(1)" not in page


def test_queries_do_not_grow_with_the_movies(admin):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(LIST).status_code == 200
        return len(captured)

    queries()  # fills what Django looks up once a process
    Movie.objects.create(id="1", title="A")
    few = queries()
    Movie.objects.bulk_create([Movie(id=f"m{number}", title="B") for number in range(40)])
    for number in range(5):
        rate(f"m{number}", 50)
    assert queries() == few


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=metro", ["Metropolis"]),
        ("q=lang", ["M", "Metropolis"]),
        ("q=3", ["Laura"]),
        ("released=1920s", ["Metropolis"]),
        ("released=1931", ["M"]),
        ("released=1950s", []),
        ("released=nonsense", ["<script>alert(1)</script>", "Laura", "M", "Metropolis"]),
        ("q=%00", ["<script>alert(1)</script>", "Laura", "M", "Metropolis"]),  # refused by the search box
    ],
)
def test_search_and_filter(admin, movies, query, found):
    response = admin.get(f"{LIST}?{query}")
    assert response.status_code == 200
    assert titles(response) == found


def test_the_chosen_decade_opens_its_years(admin, movies):
    page = admin.get(f"{LIST}?released=1920s").content.decode()
    assert "released=1927" in page
    assert "released=1931" not in page
    assert "released=1930s" in page


def test_add_change_and_delete(admin):
    movie = {"title": "Brand", "director": "", "year": "", "genres": "Drama, War", "description": ""}
    assert admin.post(f"{LIST}add/", {"id": "a/b", **movie}).status_code == 302
    assert Movie.objects.get(pk="a/b").genres == ["Drama", "War"]
    rate("a/b", 70)

    change = f"{LIST}a_2Fb/change/"
    assert "7.00" in admin.get(change).content.decode()
    assert admin.post(change, {"id": "other", **movie, "year": "1999"}).status_code == 302
    assert Movie.objects.get().year == 1999

    assert admin.post(f"{LIST}a_2Fb/delete/", {"post": "yes"}).status_code == 302
    assert not Movie.objects.exists()
    assert RecordAggregate.objects.get(record__external_id="a/b").count == 1


@pytest.mark.parametrize(
    "bad", [{"title": ""}, {"year": "1800"}, {"year": "x"}, {"id": "x" * 129}, {"title": "a\x00b"}]
)
def test_a_bad_movie_is_not_saved(admin, bad):
    movie = {"id": "1", "title": "A", "director": "", "year": "", "genres": "", "description": "", **bad}
    response = admin.post(f"{LIST}add/", movie)
    assert response.status_code == 200
    assert response.context["adminform"].form.errors
    assert not Movie.objects.exists()


def test_pages_run_no_script_of_their_own(admin, movies):
    for path in ("/", "/admin/", LIST, f"{LIST}1/change/", "/admin/login/"):
        response = admin.get(path)
        policy = response["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_the_start_page_needs_no_database(client):
    page = client.get("/")
    assert page.status_code == 200
    assert 'href="/admin/"' in page.content.decode()
    assert 'href="/api/v1/movies/1/details/"' in page.content.decode()

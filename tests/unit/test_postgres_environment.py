"""Which database the environment means: libpq's URL or its PG* variables, and nothing that libpq would refuse later."""

import os
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.base import DatabaseWrapper
from environ import Env
from psycopg.conninfo import conninfo_attempts

from movieapp.postgres_environment import postgres_connection


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PG") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


def from_url(monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    monkeypatch.setenv("DATABASE_URL", url)
    return postgres_connection(Env())


def address(settings: dict[str, Any]) -> tuple[str, str, str]:
    return settings["HOST"], settings["PORT"], settings["NAME"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5433/db", ("h", "5433", "db")),
        ("postgres://h/db", ("h", "", "db")),
        ("postgresql:///db", ("", "", "db")),
        ("postgresql://u@[::1]:5433/db", ("::1", "5433", "db")),
        ("postgresql://%2Fvar%2FRun:5433/db", ("/var/Run", "5433", "db")),
        ("postgresql:///db?host=/var/Run&port=5433", ("/var/Run", "5433", "db")),
        ("postgresql://u:p@h1:5432,h2:5433/db", ("h1,h2", "5432,5433", "db")),
        ("postgresql://u:p@h1,h2:5433/db", ("h1,h2", ",5433", "db")),
        ("postgresql://u:p@h1,h2/db", ("h1,h2", "", "db")),
    ],
)
def test_a_url_says_where(monkeypatch: pytest.MonkeyPatch, url: str, expected: tuple[str, str, str]) -> None:
    assert address(from_url(monkeypatch, url)) == expected


def test_user_and_password_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_url(monkeypatch, "postgresql://a%40b:p%2Fq@h1:1,h2:2/db")
    assert (settings["USER"], settings["PASSWORD"]) == ("a@b", "p/q")


def test_libpqs_parameters_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    query = "sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3&keepalives_idle=20&target_session_attrs=primary"
    options = from_url(monkeypatch, f"postgresql://h/db?{query}")["OPTIONS"]
    assert options == {
        "application_name": "movieapp",
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
        "connect_timeout": "3",
        "keepalives_idle": "20",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "30000",
        "target_session_attrs": "primary",
    }


def test_a_server_that_is_gone_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    noticed = {"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "connect_timeout"}
    monkeypatch.setenv("PGHOST", "h")
    for settings in (from_url(monkeypatch, "postgresql://h/db"), postgres_connection(Env())):
        assert noticed <= connects_with(settings).keys()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("ssl=true", "'ssl'"),
        ("pool=1", "'pool'"),
        ("dbname=other", "'dbname'"),
        ("cursor_factory=x", "'cursor_factory'"),
        ("connect_timeout=soon", "connect_timeout is 'soon': it wants a whole number"),
        ("sslmode", "sslmode is '': it wants one of disable"),
        ("sslmode=on", "sslmode is 'on': it wants one of disable"),
    ],
)
def test_other_parameters_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, query: str, says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^DATABASE_URL.*{says}"):
        from_url(monkeypatch, f"postgresql://h/db?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/db",
        "postgresql://u:s3cret@h",
        "postgresql://u:s3cret@h:port/db",
        "postgresql://u:s3cret@h:0/db",
        "postgresql://u:s3cret@h:65536/db",
        "postgresql://u:s3cret@h1,,h2/db",
        "postgresql://u:s3cret@[::1/db",
        "postgresql://u:s3cret/x@h/db",
        "postgresql://u:s3cret#x@h/db",
        "postgresql://u:s3cret\u2100@h/db",
    ],
)
def test_what_is_no_such_url_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL") as refused:
        from_url(monkeypatch, url)
    assert "s3cret" not in str(refused.value)


def connects_with(settings: dict[str, Any]) -> dict[str, Any]:
    """What Django hands to psycopg."""
    complete = {"TIME_ZONE": None, **settings}
    return DatabaseWrapper(complete, alias="none").get_connection_params()


def test_a_service_says_its_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "theirs")
    monkeypatch.setenv("PGUSER", "them")
    parameters = connects_with(postgres_connection(Env()))
    assert parameters["service"] == "theirs"
    assert not {"dbname", "user", "host", "port"} & parameters.keys()


def test_a_url_may_name_a_service_too(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = connects_with(from_url(monkeypatch, "postgresql://?service=theirs"))
    assert parameters["service"] == "theirs"
    assert "dbname" not in parameters


def test_several_hosts_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = connects_with(from_url(monkeypatch, "postgresql://u@127.0.0.1:1,127.0.0.2:2/db"))
    attempts = conninfo_attempts({name: parameters[name] for name in ("host", "port", "user", "dbname")})
    assert [(attempt["host"], attempt["port"]) for attempt in attempts] == [("127.0.0.1", "1"), ("127.0.0.2", "2")]


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"PGHOST": "h", "PGDATABASE": "db", "PGUSER": "me"}, "db"),
        ({"PGHOST": "h", "PGUSER": "me"}, "me"),
        ({"PGHOSTADDR": "127.0.0.1"}, "postgres"),
    ],
)
def test_libpqs_variables_name_the_database(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert address(postgres_connection(Env())) == ("", "", name)


def test_no_database_is_told_with_make_run() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL.*PGSERVICE.*`make run`.*manage\.py finds it"):
        postgres_connection(Env())

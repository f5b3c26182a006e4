"""What our children are told, and what of the caller's environment is kept from them."""

import os
import re
from pathlib import Path

import pytest

from movieapp.devstack.children_environment import children_environment, database_of_caller, stack_environment
from movieapp.devstack.layout import PROJECT_ROOT, STATE_DIR_VARIABLE, StateFolder
from tests.fixtures import containers

_READERS = ("settings.py", "environment.py", "postgres_environment.py")
_STRANGE = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "DJANGO_SECRET_KEY", "DJANGO_ALLOWED_HOSTS")


@pytest.fixture(autouse=True)
def _no_servers_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PG") or name in _STRANGE:
            monkeypatch.delenv(name)


def stack(state: StateFolder) -> dict[str, str]:
    database = database_of_caller() or {"DATABASE_URL": "postgresql://x/y"}
    return stack_environment(state, database=database, bootstrap_servers="x:1", static_addresses="movie=x:2")


def environment(state: StateFolder) -> dict[str, str]:
    return children_environment(stack(state), state)


def test_variables_meant_for_other_servers_do_not_reach_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("KAFKA_CONFIG_SECURITY_PROTOCOL", "SASL_SSL")
    told = environment(StateFolder(root=tmp_path))
    assert not {"PGSSLMODE", "KAFKA_CONFIG_SECURITY_PROTOCOL"} & told.keys()
    assert told["DATABASE_URL"] == "postgresql://x/y"
    assert told["KAFKA_BOOTSTRAP_SERVERS"] == "x:1"
    assert told[STATE_DIR_VARIABLE] == str(tmp_path)


def test_they_do_reach_the_servers_that_the_caller_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("KAFKA_CONFIG_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("DATABASE_URL", "postgresql://theirs/y")
    assert environment(StateFolder(root=tmp_path)).keys() >= {"PGSSLMODE"}
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "theirs:1")
    assert environment(StateFolder(root=tmp_path)).keys() >= {"PGSSLMODE", "KAFKA_CONFIG_SECURITY_PROTOCOL"}


def test_what_the_caller_says_of_topics_groups_and_publishing_is_the_stacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {
        "RATINGS_PUBLISH_AGGREGATES": "true",
        "RATINGS_DEAD_LETTER_TOPIC": "dl",
        "RATINGS_CONSUMER_GROUP": "mine",
        "TOPIC_REPLICATION_FACTOR": "1",
    }
    for variable, value in said.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("KAFKA_CONFIG_SASL_PASSWORD", "secret")
    ours = stack(StateFolder(root=tmp_path))
    assert ours.items() >= said.items()
    assert "KAFKA_CONFIG_SASL_PASSWORD" not in ours
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "theirs:1")
    assert stack(StateFolder(root=tmp_path))["KAFKA_CONFIG_SASL_PASSWORD"] == "secret"


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"])
def test_libpqs_variables_name_the_callers_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    theirs = {name: "theirs", "PGUSER": "them", "PGPASSWORD": "secret", "PGSSLMODE": "verify-full"}
    for variable, value in theirs.items():
        monkeypatch.setenv(variable, value)
    assert database_of_caller() == theirs
    told = environment(StateFolder(root=tmp_path))
    assert told.items() >= theirs.items()
    assert "DATABASE_URL" not in told


def test_how_to_reach_a_database_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"PGPORT": "6432", "PGUSER": "them", "PGHOST": " ", "DATABASE_URL": ""}.items():
        monkeypatch.setenv(variable, value)
    assert database_of_caller() == {}


def test_what_the_caller_sets_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "theirs")
    told = environment(StateFolder(root=tmp_path))
    assert told["DJANGO_SECRET_KEY"] == "theirs"
    assert told["DJANGO_ALLOWED_HOSTS"] == "127.0.0.1,localhost"


def test_every_variable_of_the_settings_is_in_the_example() -> None:
    sources = "".join((PROJECT_ROOT / "movieapp" / name).read_text() for name in _READERS)
    read = set(re.findall(r'env(?:,\s+|\.\w+\()"([A-Z][A-Z_]+)"', sources))
    assert {"DJANGO_SECRET_KEY", "DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "RATINGS_TOPIC", "PGSERVICE"} <= read
    listed = set(re.findall(r"[A-Z][A-Z_]+", (PROJECT_ROOT / ".env.example").read_text()))
    assert read <= listed


def test_tests_and_compose_use_the_same_images() -> None:
    images = set(re.findall(r"^\s+image: (\S+)$", (PROJECT_ROOT / "compose.yaml").read_text(), re.MULTILINE))
    assert images == {containers.POSTGRES_IMAGE, containers.KAFKA_IMAGE}

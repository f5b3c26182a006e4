"""Other processes of the clone find the running stack; the environment wins; a stale file is ignored."""

import json
import stat
from pathlib import Path

import pytest

from movieapp.devstack.layout import STATE_DIR_VARIABLE, StateFolder
from movieapp.devstack.running import announce, join_running_stack, running_stack, withdraw

ADDRESSES = {"DATABASE_URL": "postgresql://ours", "KAFKA_BOOTSTRAP_SERVERS": "ours:1", "DJANGO_SECRET_KEY": "ours"}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    monkeypatch.setenv(STATE_DIR_VARIABLE, str(tmp_path))
    folder = StateFolder(root=tmp_path)
    announce(folder, environment=ADDRESSES, web="http://127.0.0.1:1")
    return folder


def test_an_empty_environment_joins_the_running_stack(state: StateFolder) -> None:
    environ: dict[str, str] = {}
    join_running_stack(environ)
    assert environ == ADDRESSES


def test_what_the_environment_says_wins(state: StateFolder) -> None:
    environ = {"DATABASE_URL": "postgresql://theirs"}
    join_running_stack(environ)
    assert environ == {**ADDRESSES, "DATABASE_URL": "postgresql://theirs"}


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"])
def test_libpqs_variables_name_a_database_too(state: StateFolder, name: str) -> None:
    environ = {name: "theirs"}
    join_running_stack(environ)
    assert "DATABASE_URL" not in environ
    assert environ["KAFKA_BOOTSTRAP_SERVERS"] == "ours:1"


def test_a_stack_on_somebodys_database_is_joined_by_libpqs_variables(state: StateFolder) -> None:
    theirs = {"PGHOST": "theirs", "PGUSER": "them", "PGPASSWORD": "secret"}
    announce(state, environment={**theirs, "KAFKA_BOOTSTRAP_SERVERS": "ours:1"}, web="http://127.0.0.1:1")
    empty: dict[str, str] = {}
    join_running_stack(empty)
    assert empty == {**theirs, "KAFKA_BOOTSTRAP_SERVERS": "ours:1"}
    other = {"DATABASE_URL": "postgresql://other"}
    join_running_stack(other)
    assert other == {"DATABASE_URL": "postgresql://other", "KAFKA_BOOTSTRAP_SERVERS": "ours:1"}
    assert stat.S_IMODE(state.running.stat().st_mode) == 0o600


def test_settings_of_the_stack_are_joined_and_ones_own_win(state: StateFolder) -> None:
    announce(state, environment={"RATINGS_CONSUMER_GROUP": "ours", "RATINGS_TOPIC": "ours"}, web="http://127.0.0.1:1")
    environ = {"RATINGS_TOPIC": "mine"}
    join_running_stack(environ)
    assert environ == {"RATINGS_TOPIC": "mine", "RATINGS_CONSUMER_GROUP": "ours"}


def test_another_kafka_is_not_told_the_password_of_the_stacks(state: StateFolder) -> None:
    theirs = {"KAFKA_BOOTSTRAP_SERVERS": "theirs:1", "KAFKA_CONFIG_SASL_PASSWORD": "secret"}
    announce(state, environment=theirs, web="http://127.0.0.1:1")
    empty: dict[str, str] = {}
    join_running_stack(empty)
    assert empty == theirs
    other = {"KAFKA_BOOTSTRAP_SERVERS": "other:1"}
    join_running_stack(other)
    assert other == {"KAFKA_BOOTSTRAP_SERVERS": "other:1"}


def test_nothing_is_joined_once_the_stack_has_withdrawn(state: StateFolder) -> None:
    withdraw(state)
    withdraw(state)
    environ: dict[str, str] = {}
    join_running_stack(environ)
    assert environ == {}
    assert running_stack(state) is None


def test_a_file_of_a_supervisor_that_is_gone_is_ignored(state: StateFolder) -> None:
    content = json.loads(state.running.read_text())
    state.running.write_text(json.dumps({**content, "started": "long ago"}))
    assert running_stack(state) is None


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": "x", "started": "", "environment": 3}']
)
def test_a_damaged_file_is_ignored(state: StateFolder, damage: str) -> None:
    state.running.write_text(damage)
    assert running_stack(state) is None


def test_only_the_owner_may_read_the_file_and_the_secrets(state: StateFolder) -> None:
    state.secret("django")
    for path in (state.running, state.root / "django.secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_is_made_once(state: StateFolder) -> None:
    secret = state.secret("django")
    assert len(secret) == 64
    assert state.secret("django") == secret
    assert state.secret("postgres") != secret

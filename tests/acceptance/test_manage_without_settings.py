"""`manage.py` where a setting is missing or wrong: the one message that mends it, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from movieapp.devstack.layout import PROJECT_ROOT, STATE_DIR_VARIABLE

_STRANGE = ("DATABASE_URL", "KAFKA_", "PG", "DJANGO_", "RATINGS_", "TOPIC_")
_SET = {
    "DJANGO_SECRET_KEY": "x" * 50,
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
}


def manage(state: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`manage.py` with these settings only, and no running stack to find."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_STRANGE)}
    return subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "manage.py"), *arguments],
        env={**kept, STATE_DIR_VARIABLE: str(state), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("missing", sorted(_SET))
@pytest.mark.parametrize("command", ["migrate", "import_movies"])
def test_a_missing_variable_is_all_that_is_told(tmp_path: Path, command: str, missing: str) -> None:
    done = manage(tmp_path, command, **{name: value for name, value in _SET.items() if name != missing})
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Set the environment variable {missing}: ")
    assert "`make run`" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATINGS_TOPIC", ""),
        ("RATINGS_CONSUMER_GROUP", "a\tb"),
        ("RATINGS_TOPIC_PARTITIONS", "10001"),
        ("TOPIC_REPLICATION_FACTOR", "0"),
        ("RATINGS_TOPIC_RETENTION_MS", "59999"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_the_same_way(tmp_path: Path, name: str, value: str) -> None:
    done = manage(tmp_path, "check", **_SET, **{name: value})
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name} is ")


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("--version",)])
def test_overviews_need_no_settings(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = manage(tmp_path, *arguments)
    assert done.returncode == 0
    assert done.stdout
    assert "Traceback" not in done.stderr

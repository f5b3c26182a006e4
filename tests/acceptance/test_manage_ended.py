"""`manage.py` that is ended from outside: by Ctrl-C, by a reader that has read enough, by a database that is away."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from movieapp.devstack.layout import PROJECT_ROOT, SAMPLES
from tests.dead_letters import kept_letter
from tests.fixtures.topics import MakeTopic
from workers.ingestion.management.commands import lag

_MANAGE = [sys.executable, str(PROJECT_ROOT / "manage.py")]

# Every command of ours that cannot do without the database, and does not wait until it is back.
_NEED_THE_DATABASE = {
    "check_aggregates": [],
    "dead_letters": ["list"],
    "ensure_admin": ["--username", "ann"],
    "erase_user": ["ann", "--all-providers", "--yes"],
    "import_movies": [str(SAMPLES / "movies.json")],
    "lag": [],
    "move_offsets": ["--to", "latest", "--yes"],
    "purge_deleted": [],
}
_DO_NOT = {"consume_ratings", "create_topics", "ingest_file", "publish_aggregates", "serve_grpc", "services"}
# One process for all of them: each would need a second or so to start.
_EACH = """
import contextlib, io, json, sys
from django.core.management import execute_from_command_line
ends = {}
for name, arguments in json.load(sys.stdin).items():
    with contextlib.redirect_stderr(io.StringIO()) as words, contextlib.redirect_stdout(io.StringIO()):
        try:
            execute_from_command_line(["manage.py", name, *arguments])
            ends[name] = [0, ""]
        except SystemExit as end:
            ends[name] = [end.code, words.getvalue()]
        except Exception as error:
            ends[name] = [-1, repr(error)]
json.dump(ends, sys.stdout)
"""


def test_a_database_that_is_away_is_told_by_every_command(
    manage_environment: Mapping[str, str], make_topic: MakeTopic
) -> None:
    ours = {
        name
        for name, app in get_commands().items()
        if not isinstance(app, BaseCommand) and app.split(".")[0] in ("metadata", "movieapp", "ratings", "workers")
    }
    assert ours == _NEED_THE_DATABASE.keys() | _DO_NOT
    done = subprocess.run(
        [sys.executable, "-c", _EACH],
        cwd=PROJECT_ROOT,
        env={
            **manage_environment,
            "DJANGO_SETTINGS_MODULE": "movieapp.settings",
            "DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z",
            "DJANGO_SUPERUSER_PASSWORD": "secret",
            "RATINGS_TOPIC": make_topic(partitions=1),
        },
        input=json.dumps(_NEED_THE_DATABASE),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    ends = json.loads(done.stdout)
    assert ends.keys() == _NEED_THE_DATABASE.keys()
    for name, (code, words) in ends.items():
        assert (name, code) == (name, 1), words
        assert "Traceback" not in words
        assert "127.0.0.1" in words, name


def test_ctrl_c_while_the_modules_load(tmp_path: Path) -> None:
    (tmp_path / "slow_settings.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "slow_settings"}
    process = subprocess.Popen(
        [*_MANAGE, "check"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


def test_lag_ends_well_by_ctrl_c_only_where_it_has_no_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lag, "show_lag", interrupted)
    once = {"group": "g", "topic": "t", "format": "json"}
    command = load_command_class("workers.ingestion", "lag")
    command.handle(**once, watch=1.0)
    with pytest.raises(KeyboardInterrupt):
        command.handle(**once, watch=None)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_read_enough_is_no_error(manage_environment: Mapping[str, str], unbuffered: str) -> None:
    kept_letter(b"for a test")
    process = subprocess.Popen(
        [*_MANAGE, "dead_letters", "list", "--format", "json"],
        env={**manage_environment, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(30) == 141

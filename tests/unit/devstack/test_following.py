"""Logs are followed line by line, through restarts, and JSON lines are made readable."""

import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from movieapp.devstack.following import SECOND_SIGNAL, FollowedLog, LogFollower, readable
from tests.waiting import wait_until
from workers.shutdown import two_stage_shutdown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain text", "plain text"),
        ("{not json", "{not json"),
        ('{"no": "event"}', '{"no": "event"}'),
        ('{"event": "stopped"}', "stopped"),
        (
            '{"event": "taken", "partition": 3, "level": "info", "logger": "x", "timestamp": "2026-01-02T03:04:05.6Z"}',
            "03:04:05 info taken partition=3",
        ),
        ('{"event": "failed", "exception": "Traceback\\nError"}', "failed\nTraceback\nError"),
    ],
)
def test_a_json_line_reads_as_time_level_event_and_fields(line: str, shown: str) -> None:
    assert readable(line) == shown


def test_new_lines_are_shown_behind_their_name_and_old_ones_are_not(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("before\n")
    shown = io.StringIO()
    follower = LogFollower(Console(file=shown, width=200))
    follower.start([FollowedLog(name="web", path=log), FollowedLog(name="consumer", path=tmp_path / "later.log")])
    with log.open("a") as file:
        file.write("first half, ")
        file.flush()
        file.write("second half\n")
    wait_until(lambda: "second half" in shown.getvalue(), message="the line")
    log.replace(tmp_path / "web.log.1")
    log.write_text("after the restart\n")
    wait_until(lambda: "after the restart" in shown.getvalue(), message="the new log's line")
    (tmp_path / "later.log").write_text("[markup] is text\n")
    wait_until(lambda: "[markup] is text" in shown.getvalue(), message="the log that came later")
    follower.stop()
    assert "before" not in shown.getvalue()
    assert "web           │ first half, second half\n" in shown.getvalue()
    assert "consumer      │ [markup] is text\n" in shown.getvalue()


def test_who_kills_at_the_second_signal_is_said_once_and_not_by_each(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with two_stage_shutdown(first_words="Finishing the calls in hand."):
        os.kill(os.getpid(), signal.SIGINT)
    said = capfd.readouterr().err
    assert said.endswith(f" {SECOND_SIGNAL}\n")
    log, shown = tmp_path / "grpc-metadata.log", io.StringIO()
    log.touch()
    follower = LogFollower(Console(file=shown, width=200))
    follower.start([FollowedLog(name="grpc-metadata", path=log)])
    log.write_text(said)
    follower.stop()
    assert shown.getvalue() == "grpc-metadata │ Finishing the calls in hand.\n"


def test_of_a_server_only_trouble_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.touch()
    shown = io.StringIO()
    follower = LogFollower(Console(file=shown, width=200))
    follower.start([FollowedLog(name="kafka", path=log, only_trouble=True)])
    log.write_text("INFO all is well\nWARN disk is slow\n")
    follower.stop()
    assert "disk is slow" in shown.getvalue()
    assert "all is well" not in shown.getvalue()

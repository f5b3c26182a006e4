"""The command line that goes on, and the summary's words."""

import shlex
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import CommandParser

from movieapp.inputs.errors import CompressionDamaged
from workers.ingestion.management.commands.ingest_file import Command
from workers.ingestion.sending.command_line import manage_command
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import Defaults
from workers.ingestion.sending.files.scale import scale_from_text
from workers.ingestion.sending.publishing import InvalidEvent, Place, Publisher
from workers.ingestion.sending.request import IngestRequest
from workers.ingestion.sending.summary import Ending, summary_lines
from workers.kafka.memory_producer import MemoryProducer, MemoryTarget


def _parsed(command: str) -> dict[str, object]:
    words = shlex.split(command)
    assert words[:3] == [sys.executable, "manage.py", "ingest_file"]
    parser: CommandParser = Command().create_parser("manage.py", "ingest_file")
    return vars(parser.parse_args(words[3:]))


@pytest.fixture(autouse=True)
def _started_in_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.BASE_DIR)
    monkeypatch.setattr(sys, "executable", "/opt/a python/bin/python")


def _ending(*, failure: Exception, at: Place, acknowledged: int = 0, start_at: int = 1, dry_run: bool = False) -> str:
    """The summary's words where `at` was the first position that was not read."""
    target = MemoryTarget.with_partitions(1)
    publisher = Publisher(producer=MemoryProducer(target), timeout=1, skip_invalid=False)
    publisher.tally.next_place = at
    for _ in range(acknowledged):
        publisher.producer.send(b"k", b"v")
    publisher.producer.poll(0)
    request = IngestRequest(paths=("a.gz", "b.gz"), topic="ratings", group="rating", start_at=start_at, dry_run=dry_run)
    return "\n".join(summary_lines(Ending(request, publisher, failure, seconds=2.0)))


def test_the_command_that_goes_on_says_the_same_with_the_place_and_the_files_left() -> None:
    request = IngestRequest(
        paths=("a.csv", "-odd name.csv", "c.csv"),
        topic="t",
        group="g",
        file_format=Format.CSV,
        defaults=Defaults(provider="-p q", scale=scale_from_text("-1:1")),
        skip_invalid=True,
        timeout=7.5,
        wait=True,
        wait_timeout=60,
    )
    options = _parsed(request.resume_command(Place(1, 1001)))
    assert options["paths"] == ["-odd name.csv", "c.csv"]
    assert (options["start_at"], options["topic"], options["group"]) == (1001, "t", "g")
    assert (options["format"], options["provider"], options["scale"]) == (
        Format.CSV,
        "-p q",
        request.defaults.scale,
    )
    assert (options["on_error"], options["timeout"], options["wait"], options["wait_timeout"]) == (
        "skip",
        7.5,
        True,
        60,
    )


def test_the_command_that_goes_on_is_short_where_nothing_was_special() -> None:
    request = IngestRequest(paths=("a.csv",), topic="ratings", group="rating")
    command = request.resume_command(Place(0, 1))
    assert command == "'/opt/a python/bin/python' manage.py ingest_file --topic ratings -- a.csv"


def test_a_command_is_relative_where_the_user_can_run_it_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(settings.BASE_DIR / ".venv" / "bin" / "python"))
    assert manage_command(["check"]) == ".venv/bin/python manage.py check"
    monkeypatch.chdir(tmp_path)
    assert manage_command(["check"]) == shlex.join([sys.executable, str(settings.BASE_DIR / "manage.py"), "check"])


@pytest.mark.parametrize(
    "options",
    [
        ["--scale", "5:1"],
        ["--scale", "x"],
        ["--provider", ""],
        ["--provider", "x" * 129],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--start-at", "0"],
        ["--format", "xml"],
        ["--on-error", "ignore"],
        ["--topic", "a b"],
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str]) -> None:
    parser = Command().create_parser("manage.py", "ingest_file")
    parser.called_from_command_line = False
    with pytest.raises(CommandError):
        parser.parse_args([*options, "a.csv"])


def test_the_summary_names_rejections_and_how_to_go_on() -> None:
    publisher = Publisher(producer=MemoryProducer(MemoryTarget.with_partitions(1)), timeout=1, skip_invalid=False)
    publisher.tally.read, publisher.tally.rejected = 1_000, 25
    publisher.tally.shown = ["a.csv:7: userId: it is empty"]
    publisher.tally.next_place = Place(0, 1_001)
    request = IngestRequest(paths=("a.csv",), topic="ratings", group="rating")
    lines = list(summary_lines(Ending(request, publisher, InvalidEvent("a.csv:1001: no"), seconds=2.0)))
    text = "\n".join(lines)
    assert "read                 1,000  in 2.0 s, 500 events/s" in lines
    assert "    a.csv:7: userId: it is empty\n    … and 24 more" in text
    assert "Stopped early: a.csv:1001: no" in lines
    assert "All before position 1,001 of a.csv is in Kafka." in lines
    assert "manage.py ingest_file --topic ratings --start-at 1001 -- a.csv" in text
    assert "only a change that others made to that rating in between is overwritten." in text


DAMAGED = CompressionDamaged("a.gz", "it is cut off")


def test_a_file_that_cannot_be_read_at_all_gets_no_command_that_would_fail_again() -> None:
    text = _ending(failure=DAMAGED, at=Place(0, 1))
    assert text.endswith("Stopped early: a.gz: it is cut off\nNo event of a.gz could be read.\nNothing was sent.")
    assert "No event of a.gz could be read.\nNothing was sent." in _ending(
        failure=DAMAGED, at=Place(0, 500), start_at=500
    )


def test_a_file_that_is_damaged_further_on_can_be_gone_on_with_once_it_is_mended() -> None:
    text = _ending(failure=DAMAGED, at=Place(0, 4), acknowledged=3)
    assert "a.gz cannot be read after position 3.\nAll before position 4 of a.gz is in Kafka." in text
    assert "To go on once the file can be read: " in text
    assert "--start-at 4 -- a.gz b.gz\n" in text


def test_a_damaged_second_file_leaves_the_first_one_behind() -> None:
    text = _ending(failure=CompressionDamaged("b.gz", "no"), at=Place(1, 1), acknowledged=3)
    assert "No event of b.gz could be read.\nAll before b.gz is in Kafka." in text
    assert "ingest_file --topic ratings -- b.gz\n" in text


def test_a_dry_run_says_what_is_valid_and_nothing_of_sending_again() -> None:
    text = _ending(failure=DAMAGED, at=Place(0, 4), dry_run=True)
    assert "All before position 4 of a.gz is valid." in text
    assert "overwritten" not in text

"""The command line that goes on, and the summary's words."""

import shlex

import pytest
from django.core.management import CommandError
from django.core.management.base import CommandParser

from workers.ingestion.management.commands.ingest_file import Command
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import Defaults
from workers.ingestion.sending.files.scale import scale_from_text
from workers.ingestion.sending.publishing import InvalidEvent, Place, Publisher
from workers.ingestion.sending.request import IngestRequest
from workers.ingestion.sending.summary import Ending, summary_lines
from workers.kafka.memory_producer import MemoryProducer, MemoryTarget


def _parsed(command: str) -> dict[str, object]:
    words = shlex.split(command)
    assert words[:2] == ["manage.py", "ingest_file"]
    parser: CommandParser = Command().create_parser("manage.py", "ingest_file")
    return vars(parser.parse_args(words[2:]))


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
    assert request.resume_command(Place(0, 1)) == "manage.py ingest_file --topic ratings -- a.csv"


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
    assert "again is harmless" in text

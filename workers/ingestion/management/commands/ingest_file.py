"""`manage.py ingest_file`: send providers' rating files into Kafka."""

import sys
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ratings.errors import InvalidRating
from ratings.events import checked_id
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import Defaults
from workers.ingestion.sending.files.scale import Scale, scale_from_text
from workers.ingestion.sending.ingesting import ingest_files
from workers.ingestion.sending.request import DEFAULT_TIMEOUT, IngestRequest
from workers.kafka.arguments import group_name, seconds, topic_name, whole_number

_EXIT_CODES = """
exit codes:
  0    every event was acknowledged by Kafka; with --wait: and applied to the database
  1    stopped early: an invalid event, a broken file, no broker, no answer; the output says how to go on
  2    wrong options
  3    with --on-error skip: all but the rejected events were acknowledged (with --wait: and applied)
  4    all is in Kafka, but with --wait: some were dead-lettered, or --wait-timeout was over
  130  Ctrl-C; 143 SIGTERM

Sending a file again sets the same ratings again; only changes that others made to
them in between are overwritten.
"""


class Command(BaseCommand):
    help = (
        "Send the rating events of files into Kafka: JSON, NDJSON, CSV with a header,\n"
        "MovieLens' ratings.csv, IMDb's title.ratings.tsv, each plain or compressed with\n"
        "gzip or zstd. Files are read as streams, of any size."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = _EXIT_CODES
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, or - for standard input")
        _add_reading_options(parser)
        _add_sending_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"] and options["wait"]:
            raise CommandError("--dry-run sends nothing that --wait could wait for; give one of them.", returncode=2)
        if options["paths"].count("-") > 1:
            raise CommandError("Standard input (-) can be read only once.", returncode=2)
        request = IngestRequest(
            paths=tuple(options["paths"]),
            topic=options["topic"],
            group=options["group"],
            file_format=options["format"],
            defaults=Defaults(provider=options["provider"] or "", scale=options["scale"]),
            skip_invalid=options["on_error"] == "skip",
            dry_run=options["dry_run"],
            timeout=options["timeout"],
            start_at=options["start_at"],
            wait=options["wait"],
            wait_timeout=options["wait_timeout"],
        )
        code = ingest_files(request, say=self.stdout.write, progress_stream=sys.stderr)
        if code:
            sys.exit(code)


def _add_reading_options(parser: CommandParser) -> None:
    parser.add_argument(
        "--format",
        type=Format,
        choices=list(Format),
        default=Format.AUTO,
        metavar="|".join(Format),
        help="auto (the default) looks at the first bytes and the name, and says what it found",
    )
    parser.add_argument(
        "--provider",
        type=_provider,
        metavar="ID",
        help="the provider of events that name none (default: none; movielens and imdb for their own files)",
    )
    parser.add_argument(
        "--scale",
        type=_scale,
        metavar="MIN:MAX",
        help="the file's own scale, mapped linearly onto 0:10 and rounded half up to one decimal, such as 1:5; "
        "without it values are taken as they are",
    )
    parser.add_argument(
        "--on-error",
        choices=["stop", "skip"],
        default="stop",
        help="at an event that is not valid: stop there (default), or leave it out and count it",
    )
    parser.add_argument(
        "--start-at",
        type=whole_number,
        default=1,
        metavar="N",
        help="begin at line N of the first file, or in JSON at element N, as an earlier run said",
    )


def _add_sending_options(parser: CommandParser) -> None:
    parser.add_argument(
        "--topic",
        type=topic_name,
        default=settings.RATINGS_TOPIC,
        help=f"where to send to (default {settings.RATINGS_TOPIC})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="read and check everything, send nothing, need no broker"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help=f"give up when Kafka acknowledges nothing for so long (default {DEFAULT_TIMEOUT:g})",
    )
    parser.add_argument(
        "--wait", action="store_true", help="go on until the consumer group has applied the last event to the database"
    )
    parser.add_argument(
        "--group",
        type=group_name,
        default=settings.RATINGS_CONSUMER_GROUP,
        help=f"the group that --wait waits for (default {settings.RATINGS_CONSUMER_GROUP})",
    )
    parser.add_argument(
        "--wait-timeout", type=seconds, metavar="SECONDS", help="the longest time for --wait (default: no end)"
    )


def _provider(text: str) -> str:
    try:
        return checked_id(text, field="provider")
    except InvalidRating as invalid:
        raise ArgumentTypeError(invalid.reason) from None


def _scale(text: str) -> Scale:
    try:
        return scale_from_text(text)
    except ValueError as wrong:
        raise ArgumentTypeError(str(wrong)) from None

"""`manage.py check_aggregates`: prove that every aggregate is what its ratings say, or make it so."""

import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.database_errors import database_errors_told
from movieapp.progress import shown_progress
from movieapp.words import counted
from ratings.checking.id_space import id_spaces
from ratings.checking.running import CheckReport, aggregates_check
from ratings.errors import InvalidRating, RecordNotFound
from ratings.events import checked_id
from ratings.management.check_output import exit_code, summary

_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Compare count and sum of every record with its ratings. Consumers and all other writers may run: the look "
        "locks nothing and takes no concurrent write for a difference. With --repair "
        "writers wait only for the records that are just being mended. Exit code: 0 all is true, or is so after "
        "the repair; 1 differences, or rows that it cannot mend; 130 stopped by Ctrl-C (what was mended stays so)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="set wrong aggregates to what their ratings say")
        parser.add_argument(
            "--record",
            dest="records",
            type=record_name,
            action="extend",
            nargs="+",
            default=[],
            metavar="TYPE:ID",
            help="only this record, for example movie:1; may be repeated",
        )

    def handle(self, *args: Any, records: list[tuple[str, str]], repair: bool, **options: Any) -> None:
        report = CheckReport()
        quiet = options["verbosity"] == 0
        try:
            with (
                database_errors_told(),
                shown_progress(title="Checking", unit="ratings", stream=sys.stderr, quiet=quiet) as meter,
            ):
                aggregates_check(records=records, repair=repair, report=report, meter=meter)
                spaces = id_spaces()
        except RecordNotFound as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            repaired = counted(report.repaired, "aggregate")
            self.stderr.write(f"Stopped after {counted(report.records, 'record')}; {repaired} repaired.")
            sys.exit(_INTERRUPTED)
        for line in summary(report, spaces, repair=repair):
            self.stdout.write(line)
        sys.exit(exit_code(report, repair=repair))


def record_name(text: str) -> tuple[str, str]:
    """An argparse type: type and id of a record; the type ends at the first colon."""
    record_type, colon, record_id = text.partition(":")
    if not colon:
        raise ArgumentTypeError(f"{text!r} is not a record's type and id: write movie:1")
    try:
        return checked_id(record_type, field="type"), checked_id(record_id, field="id")
    except InvalidRating as error:
        raise ArgumentTypeError(str(error)) from None

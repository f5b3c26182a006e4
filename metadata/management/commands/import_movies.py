"""`manage.py import_movies`: takes files of movies into the catalogue."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from metadata.importing import ImportRequest, movies_import
from metadata.management.import_output import exit_code, print_report
from metadata.sources.formats import AUTO, FORMATS
from movieapp.progress import shown_progress

_DESCRIPTION = """\
Imports movies from MovieLens' movies.csv, IMDb's title.basics.tsv, a JSON array or NDJSON, plain, gzip or zstd.

The import is idempotent: a second run changes nothing. Only the fields that a source has are written: importing
MovieLens again (title, year, genres) leaves descriptions and directors as they are, and so does a JSON object that
does not name them. A null in JSON empties its field.
"""

_EPILOG = """\
exit codes:
  0    every row is in the database (or was left out by --title-types)
  1    stopped: a row was rejected under --on-error stop, a file or the database failed
  2    wrong arguments
  3    everything is in but for the rejected rows (--on-error skip)
  130  interrupted by Ctrl-C

What was read before it stopped is committed; running the same command again goes on.
"""


class Command(BaseCommand):
    """Adapts the arguments."""

    help = _DESCRIPTION

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, epilog=_EPILOG, **kwargs)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, or - for standard input")
        parser.add_argument(
            "--format",
            choices=(AUTO, *FORMATS),
            default=AUTO,
            help="the files' format (default: auto, by the first bytes)",
        )
        parser.add_argument(
            "--on-error",
            choices=("stop", "skip"),
            default="stop",
            help="at a row that is no valid movie: stop (default), or skip it and name it at the end",
        )
        parser.add_argument(
            "--title-types",
            type=_title_types,
            default="movie,tvMovie",
            metavar="TYPE,…",
            help="IMDb only: which titleTypes to import, or all (default: %(default)s; others are left out)",
        )
        parser.add_argument(
            "--batch-size",
            type=_batch_size,
            default=5000,
            metavar="N",
            help="movies per transaction, 1 to 50000 (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        request = ImportRequest(
            paths=tuple(options["paths"]),
            format_name=options["format"],
            title_types=options["title_types"],
            stop_on_error=options["on_error"] == "stop",
            batch_size=options["batch_size"],
        )
        quiet = options["verbosity"] == 0
        with shown_progress(title="Importing", unit="rows", stream=sys.stderr, quiet=quiet) as meter:
            report = movies_import(request, meter=meter)
        print_report(report, output=self.stdout, errors=self.stderr)
        sys.exit(exit_code(report))


def _batch_size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 50_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 50000")
    return int(text)


def _title_types(text: str) -> frozenset[str]:
    types = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not types:
        raise argparse.ArgumentTypeError("name at least one titleType, or all")
    return types

"""`manage.py dead_letters`: look at what could not be applied, apply it after all, or let it go."""

import shutil
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.database_errors import database_errors_told
from ratings.errors import InvalidRating
from workers.ingestion.dead_letters.mending import FIELDS, mended_value
from workers.ingestion.dead_letters.selectors import letter_get, letters_page
from workers.ingestion.dead_letters.settling import Outcome, letter_replay_mended, letters_discard, letters_replay
from workers.ingestion.errors import IngestionError
from workers.ingestion.management.asking import is_confirmed_on_terminal
from workers.ingestion.management.dead_letter_arguments import (
    add_filters,
    check_choice,
    letter_filter,
    page_length,
    setting,
)
from workers.ingestion.management.dead_letter_output import json_line, more_in_words, outcome_line, page_about, table
from workers.ingestion.management.dead_letter_runs import Run, settle_matching, settle_named
from workers.kafka.arguments import whole_number

_LONGEST_VALUE = 16_777_216  # bytes

_REPLAY = Run("Replay", lambda ids: letters_replay(letter_ids=ids))
_DISCARD = Run("Discard", lambda ids: letters_discard(letter_ids=ids))


class Command(BaseCommand):
    help = (
        "Dead letters are messages that could not be applied. A replay applies one at the time it had, so it never\n"
        'overwrites a newer write of the same rating, a delete included; it then says "superseded". Consumers may\n'
        "run meanwhile."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = "exit codes: 0 all done, 1 something failed (it says what), 2 wrong options, 130 or 143 stopped"
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|replay|discard")
        _add_list(actions.add_parser("list", help="the newest first, without the messages themselves"))
        _add_show(actions.add_parser("show", help="everything about one, the message included"))
        replay = actions.add_parser("replay", help="apply them after all, mended or as they are")
        _add_choice(replay)
        mended = replay.add_mutually_exclusive_group()
        mended.add_argument("--value", metavar="FILE|-", help="with one ID: apply this value in place of its own")
        mended.add_argument(
            "--set",
            type=setting,
            action="append",
            dest="changes",
            metavar="FIELD=VALUE",
            help=f"with one ID: set a field of its JSON, again and again ({', '.join(FIELDS)})",
        )
        _add_choice(actions.add_parser("discard", help="delete them without applying them"))

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        act = {"list": self._list, "show": self._show, "replay": self._replay, "discard": self._discard}[action]
        with database_errors_told():
            try:
                code = act(options)
            except IngestionError as error:
                raise CommandError(str(error)) from error
        if code:
            raise SystemExit(code)

    def _list(self, options: dict[str, Any]) -> int:
        page = letters_page(wanted=letter_filter(options), before=options["before"], limit=options["limit"])
        if options["format"] == "json":
            for letter in page.letters:
                self.stdout.write(json_line(letter, whole=False))
        else:
            width = shutil.get_terminal_size().columns if self.stdout.isatty() else None
            for line in table(page, width=width):
                self.stdout.write(line)
        if page.more:
            self.stderr.write(more_in_words(page))
        return 0

    def _show(self, options: dict[str, Any]) -> int:
        letter = letter_get(options["letter_id"])
        if options["raw"]:
            payload = letter.key if options["raw"] == "key" else letter.value
            if payload is None:
                raise CommandError(f"The letter has no {options['raw']}: it is null.")
            sys.stdout.buffer.write(bytes(payload))
            return 0
        for line in [json_line(letter, whole=True)] if options["format"] == "json" else page_about(letter):
            self.stdout.write(line)
        return 0

    def _replay(self, options: dict[str, Any]) -> int:
        check_choice(options)
        if options["value"] is None and not options["changes"]:
            return self._settle(_REPLAY, options)
        if len(options["letter_ids"]) != 1:
            raise CommandError("--value and --set mend one letter: name its id.", returncode=2)
        return self._replay_mended(options["letter_ids"][0], options["value"], dict(options["changes"] or ()))

    def _discard(self, options: dict[str, Any]) -> int:
        check_choice(options)
        return self._settle(_DISCARD, options)

    def _settle(self, run: Run, options: dict[str, Any]) -> int:
        if options["letter_ids"]:
            return settle_named(run, options["letter_ids"], say=self.stdout.write)
        ask = self._ask if not options["yes"] else lambda _question: None
        return settle_matching(run, letter_filter(options), say=self.stdout.write, ask=ask)

    def _replay_mended(self, letter_id: int, path: str | None, changes: Mapping[str, str]) -> int:
        value = _read(path) if path is not None else _mended(letter_id, changes)
        try:
            settled = letter_replay_mended(letter_id=letter_id, value=value)
        except InvalidRating as invalid:
            raise CommandError(f"Nothing was applied, the mended value is no rating event: {invalid}") from None
        self.stdout.write(outcome_line(settled))
        return int(settled.outcome in (Outcome.FAILED, Outcome.GONE))

    def _ask(self, question: str) -> None:
        if not is_confirmed_on_terminal(self.stdout, question, undone="Nothing was done"):
            raise CommandError("Nothing was done: not confirmed.")


def _add_list(parser: CommandParser) -> None:
    add_filters(parser)
    parser.add_argument("--limit", type=page_length, default=50, metavar="N", help="most letters (default: 50)")
    parser.add_argument("--before", type=whole_number, metavar="ID", help="those that are older than this one")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="json is one object a line")


def _add_show(parser: CommandParser) -> None:
    parser.add_argument("letter_id", type=whole_number, metavar="ID")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="json has the message in base64")
    parser.add_argument("--raw", choices=["value", "key"], help="its bytes as they came, and nothing else")


def _add_choice(parser: CommandParser) -> None:
    parser.add_argument("letter_ids", type=whole_number, nargs="*", metavar="ID")
    parser.add_argument("--all", action="store_true", help="all that match the filters; asks first")
    add_filters(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _mended(letter_id: int, changes: Mapping[str, str]) -> bytes:
    value = letter_get(letter_id).value
    return mended_value(None if value is None else bytes(value), changes)


def _read(path: str) -> bytes:
    try:
        if path == "-":
            value = sys.stdin.buffer.read(_LONGEST_VALUE + 1)
        else:
            with Path(path).open("rb") as file:
                value = file.read(_LONGEST_VALUE + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    if len(value) > _LONGEST_VALUE:
        raise CommandError(f"{path} holds more than the {_LONGEST_VALUE:,} bytes that a value may have.")
    return value

"""The options by which people name dead letters on a command line."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from workers.ingestion.dead_letters.mending import field_setting
from workers.ingestion.dead_letters.selectors import LetterFilter
from workers.kafka.arguments import group_name, topic_name, whole_number

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_NAMES = ("group", "topic", "partition", "field", "reason_contains", "since")
_LONGEST_PAGE = 10_000


def add_filters(parser: CommandParser) -> None:
    """--group, --topic, --partition, --field, --reason-contains and --since."""
    parser.add_argument("--group", type=group_name, help="only those of this consumer group")
    parser.add_argument("--topic", type=topic_name, help="only those of this topic")
    parser.add_argument("--partition", type=partition, metavar="N", help="only those of this partition")
    parser.add_argument("--field", help='only those with this field at fault, such as ratingValue; "" is the whole')
    parser.add_argument("--reason-contains", metavar="TEXT", help="only those with this text in the reason")
    parser.add_argument(
        "--since",
        type=since,
        metavar="TIME",
        help="only those set aside since then: an ISO 8601 time (UTC unless it says), or 30m, 2h, 7d ago",
    )


def letter_filter(options: dict[str, Any]) -> LetterFilter:
    """What the options of `add_filters` ask for."""
    return LetterFilter(**{name: options[name] for name in _NAMES})


def check_choice(options: dict[str, Any]) -> None:
    """Raises CommandError (exit code 2) unless either letters or --all are named, and filters only with --all."""
    if options["all"] == bool(options["letter_ids"]):
        raise CommandError("Name letters by their ids, or give --all (and filters).", returncode=2)
    if not options["all"] and any(options[name] is not None for name in _NAMES):
        raise CommandError("Filters go with --all; letters that are named by their ids need none.", returncode=2)


def partition(text: str) -> int:
    """0 or more."""
    if not (text.isascii() and text.isdigit() and int(text) < 2**31):
        raise ArgumentTypeError(f"{text!r} is not a partition: a whole number from 0 on")
    return int(text)


def page_length(text: str) -> int:
    """How many letters are listed."""
    length = whole_number(text)
    if length > _LONGEST_PAGE:
        raise ArgumentTypeError(f"{length} is more than {_LONGEST_PAGE}: use --before for those that follow")
    return length


def since(text: str) -> datetime:
    """A moment by the clock, or so long ago."""
    ago = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if ago:
        return timezone.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text[:40]!r} is not a time: 2026-01-31, 2026-01-31T12:00:00+01:00, or 30m, 2h, 7d ago"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def setting(text: str) -> tuple[str, str]:
    """field=value, of a rating event."""
    try:
        return field_setting(text)
    except ValueError as wrong:
        raise ArgumentTypeError(str(wrong)) from None

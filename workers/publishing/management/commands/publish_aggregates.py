"""`manage.py publish_aggregates`: every change of an aggregate to the topic that other services follow."""

from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ratings.changes import Shard
from workers.kafka.arguments import seconds, topic_name, whole_number
from workers.kafka.errors import KafkaError
from workers.publishing.errors import PublishingError
from workers.publishing.process import PublishOptions, publish_aggregates

_MOST_SHARDS = 64
_LEAST_SILENCE = 2.0


class Command(BaseCommand):
    help = (
        "Sends the aggregate of every record that changes, whoever changed it, to a compacted topic that any number of "
        "services follow by themselves: at least once, each record's versions in order. One process publishes a shard; "
        "more of them stand by and take over within a second when it dies. The first SIGTERM or Ctrl-C finishes the "
        "transaction in hand, the second ends at once; neither loses a change. "
        "Exit code: 0 after a clean stop, or with --once when all that had changed is published; 143 or 130 when it "
        "was stopped before that; 1 when it cannot go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--topic",
            type=topic_name,
            default=settings.RATINGS_AGGREGATES_TOPIC,
            help="Topic to publish to (default: %(default)s).",
        )
        parser.add_argument(
            "--shards",
            type=_shards,
            default=1,
            metavar="N",
            help=f"In how many parts the records are published, 1 to {_MOST_SHARDS}, the same for all publishers of "
            "the topic (default: %(default)s). To change it, stop them all and start them again.",
        )
        parser.add_argument(
            "--shard",
            type=_shard,
            default=None,
            metavar="K|all",
            help="The part that this process publishes, from 0 on, or all of them (the default).",
        )
        parser.add_argument(
            "--once", action="store_true", help="End with 0 once all that had changed when it began is published."
        )
        parser.add_argument(
            "--resync",
            action="store_true",
            help="Publish every aggregate anew first, for instance after RATINGS_PUBLISH_AGGREGATES was off for a "
            "while. A topic that is new gets them all by itself.",
        )
        parser.add_argument(
            "--takeover-after",
            type=_silence,
            default=10.0,
            metavar="SECONDS",
            help="How long a publisher that hangs keeps its shard from others (default: %(default)g).",
        )

    def handle(self, *args: Any, shards: int, shard: int | None, **options: Any) -> None:
        if shard is not None and shard >= shards:
            raise CommandError(f"--shard {shard}: with --shards {shards} they are 0 to {shards - 1}.", returncode=2)
        wanted = PublishOptions(
            topic=options["topic"],
            shards=tuple(Shard(number, shards) for number in (range(shards) if shard is None else [shard])),
            once=options["once"],
            resync=options["resync"],
            silence=options["takeover_after"],
        )
        try:
            code = publish_aggregates(wanted)
        except (PublishingError, KafkaError) as error:
            raise CommandError(str(error)) from error
        if code:
            raise SystemExit(code)


def _shards(text: str) -> int:
    value = whole_number(text)
    if value > _MOST_SHARDS:
        raise ArgumentTypeError(f"{value} is more than {_MOST_SHARDS} shards")
    return value


def _shard(text: str) -> int | None:
    if text == "all":
        return None
    return 0 if text == "0" else whole_number(text)


def _silence(text: str) -> float:
    value = seconds(text)
    if value < _LEAST_SILENCE:
        raise ArgumentTypeError(
            f"{text} is less than {_LEAST_SILENCE:g} seconds: a busy publisher may be silent so long"
        )
    return value

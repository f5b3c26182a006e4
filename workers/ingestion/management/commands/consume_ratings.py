"""`manage.py consume_ratings`: rating events from Kafka into Postgres, each exactly once."""

from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.process import ConsumeOptions, consume_ratings
from workers.ingestion.errors import IngestionError
from workers.kafka.arguments import group_name, topic_name, whole_number
from workers.kafka.errors import KafkaError


class Command(BaseCommand):
    help = (
        "Reads rating events from Kafka and writes ratings, aggregates and positions in one transaction: each event "
        "counts exactly once, whatever is killed or restarted. Start it several times to share the partitions. "
        "The first SIGTERM or Ctrl-C finishes the batch in hand, the second ends at once; neither loses an event. "
        "Exit code: 0 after a clean stop or once caught up; 143 or 130 when it was stopped before it had caught up; "
        "1 when it cannot go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--group",
            type=group_name,
            default=settings.RATINGS_CONSUMER_GROUP,
            help="Consumer group; every group reads the whole topic by itself (default: %(default)s).",
        )
        parser.add_argument(
            "--topic", type=topic_name, default=settings.RATINGS_TOPIC, help="Topic to read (default: %(default)s)."
        )
        parser.add_argument(
            "--until-caught-up",
            action="store_true",
            help="End with 0 once the group has passed, in every partition, the end that it had at the start.",
        )
        parser.add_argument(
            "--batch-size",
            type=batch_size,
            default=BatchLimits().messages,
            metavar="MESSAGES",
            help="Most messages in one transaction, 1 to 100000 (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = consume_ratings(
                ConsumeOptions(
                    group=options["group"],
                    topic=options["topic"],
                    limits=BatchLimits(messages=options["batch_size"]),
                    until_caught_up=options["until_caught_up"],
                )
            )
        except (IngestionError, KafkaError) as error:
            raise CommandError(str(error)) from error
        if code:
            raise SystemExit(code)


def batch_size(text: str) -> int:
    """An argparse type: a whole number from 1 to 100000."""
    value = whole_number(text)
    if value > 100_000:
        raise ArgumentTypeError(f"{value} is more than 100000 messages")
    return value

"""`manage.py consume_ratings`: rating events from Kafka into Postgres, each as often as was promised."""

from argparse import SUPPRESS, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.breaker import DEFAULT_RATIO
from workers.ingestion.consuming.process import ConsumeOptions
from workers.ingestion.consuming.sharing import consume_in_processes
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import IngestionError
from workers.kafka.arguments import group_name, instance_name, topic_name, whole_number
from workers.kafka.errors import KafkaError
from workers.processes.arguments import process_count
from workers.processes.errors import ProcessFailed


class Command(BaseCommand):
    # Django's checks import every view and form, for a process that has none and is to be quick when it comes back.
    requires_system_checks = ()
    help = (
        "Reads rating events from Kafka and writes ratings, aggregates, dead letters and positions in one transaction. "
        "--delivery says what a kill, an outage or a rebalance may do: "
        "exactly-once, each event counts once in Postgres (it covers what is in Postgres, and nothing beyond); "
        "at-least-once, none is lost, some are written again, which leaves ratings and aggregates as they are; "
        "at-most-once, none is written twice, what an error catches on its way is lost and counted. "
        "Start it several times, or with --processes, to share the partitions. "
        "The first SIGTERM or Ctrl-C finishes the batch in hand, the second ends at once. "
        "Exit code: 0 after a clean stop or once caught up; 143 or 130 when it was stopped before it had caught up; "
        "1 when it cannot go on. A database that is away is waited for, and so is a broker that has answered once; one "
        "that does not answer within 30 s at the start ends it with 1."
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
            "--delivery",
            choices=[each.value for each in Delivery],
            default=Delivery.EXACTLY_ONCE.value,
            help="What is promised about each event; changed with the next start, the group goes on where it was "
            "(default: %(default)s).",
        )
        parser.add_argument(
            "--group-instance-id",
            type=instance_name,
            metavar="NAME",
            help="Joins as a static member: one that is started again under its NAME before the session's time-out "
            "keeps its partitions, without a rebalance. Each process needs a NAME of its own (default: "
            "KAFKA_CONFIG_GROUP_INSTANCE_ID, else none).",
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
        parser.add_argument(
            "--processes",
            type=process_count,
            default=1,
            metavar="N",
            help="Processes of this one command, 1 to 64, that share the partitions and are stopped together; 'auto' "
            "is one for each core. One that is killed is started again; one that cannot go on ends all "
            "(default: %(default)s).",
        )
        parser.add_argument(
            "--max-dead-letters",
            type=share,
            default=DEFAULT_RATIO,
            metavar="SHARE",
            help="Stop with 1, and write nothing of the batch in hand, when more than this share of the last 10,000 "
            "messages (of the batch, where it is larger) cannot be applied: 100 at least, of 1,000 at least. Above 0; "
            "1 never stops (default: %(default)s).",
        )
        parser.add_argument("--supervisor", type=whole_number, help=SUPPRESS)  # how --processes starts its own

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = consume_in_processes(
                ConsumeOptions(
                    group=options["group"],
                    topic=options["topic"],
                    limits=BatchLimits(messages=options["batch_size"]),
                    until_caught_up=options["until_caught_up"],
                    max_dead_letters=options["max_dead_letters"],
                    delivery=Delivery(options["delivery"]),
                    group_instance_id=options["group_instance_id"],
                    supervisor=options["supervisor"],
                ),
                processes=options["processes"],
            )
        except ProcessFailed as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
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


def share(text: str) -> float:
    """An argparse type: a number above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value <= 1:
        raise ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value

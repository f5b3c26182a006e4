"""`manage.py lag`: how far behind a consumer group is."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from workers.ingestion.positions.watching import LagOptions, show_lag
from workers.kafka.arguments import group_name, seconds, topic_name


class Command(BaseCommand):
    help = (
        "Show per partition where a consumer group stands: its position as committed in the database, the end of the "
        "partition, how many offsets lie between (the lag), by how many a second it has moved (in the last second, or "
        "since the look before), and which member of the group owns it. Exit code: 0, however far behind the group is; "
        "1 when Kafka or the database does not answer; 130 when Ctrl-C ends it, but for --watch, whose end that is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--group", type=group_name, default=settings.RATINGS_CONSUMER_GROUP, help="(default: %(default)s)"
        )
        parser.add_argument("--topic", type=topic_name, default=settings.RATINGS_TOPIC, help="(default: %(default)s)")
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help="json is one object on one line, described in docs/howto/positions.md (default: %(default)s)",
        )
        parser.add_argument(
            "--watch", type=seconds, metavar="SECONDS", help="look again every so many seconds, until Ctrl-C"
        )

    def handle(self, *args: Any, group: str, topic: str, watch: float | None, **options: Any) -> None:
        try:
            show_lag(
                LagOptions(group=group, topic=topic, as_json=options["format"] == "json", watch=watch),
                output=sys.stdout,
            )
        except KeyboardInterrupt:
            if watch is None:
                raise
            sys.stdout.write("\n")

"""`manage.py create_topics`: create the topics of the settings in the Kafka cluster."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.kafka.arguments import seconds
from workers.kafka.errors import KafkaError
from workers.kafka.topics import EnsuredTopic, ensure_topics, wanted_topics


class Command(BaseCommand):
    help = (
        "Create the topics of the settings where they do not exist, with their partitions, retention and "
        "time stamps, and leave those that exist as they are. May be run again at any time."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--timeout", type=seconds, default=30.0, metavar="SECONDS", help="how long Kafka may take (default 30)"
        )

        parser.add_argument(
            "--aggregates",
            action="store_true",
            help="also the topic of the aggregates where RATINGS_PUBLISH_AGGREGATES is off, for publish_aggregates "
            "--once --resync",
        )

    def handle(self, *args: Any, timeout: float, aggregates: bool, **options: Any) -> None:
        try:
            ensured = ensure_topics(wanted_topics(aggregates=aggregates), timeout=timeout)
        except KafkaError as error:
            raise CommandError(str(error)) from None
        for topic in ensured:
            self.stdout.write(_line(topic))


def _line(topic: EnsuredTopic) -> str:
    count = f"{topic.partitions} partition{'' if topic.partitions == 1 else 's'}"
    if topic.created:
        return f"{topic.spec.name}: created with {count}"
    if topic.partitions != topic.spec.partitions:
        return (
            f"{topic.spec.name}: present with {count}, where the settings say {topic.spec.partitions}; left as it is "
            "(more partitions would move keys to other partitions)"
        )
    return f"{topic.spec.name}: present with {count}"

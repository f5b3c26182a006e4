"""`manage.py purge_deleted`: remove the tombstones of ratings that were deleted long ago."""

import re
import sys
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.database_errors import database_errors_told
from movieapp.progress import shown_progress
from ratings.purging import PurgeStep
from workers.ingestion.errors import IngestionError
from workers.ingestion.purging import Purge, planned_purge, purge_deleted
from workers.kafka.errors import KafkaError
from workers.shutdown import two_stage_shutdown

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class Command(BaseCommand):
    help = (
        "Remove the traces (tombstones) of deleted ratings once they are so old that no older event can come any more. "
        "Until then they keep a put that arrives late from making a deleted rating stand again. Averages do not "
        "change. Consumers may go on running; it may be stopped and run again at any time. Exit code: 0 all of them "
        "are removed; 1 it could not go on; 130 or 143 stopped, and it says how many were removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=_age,
            metavar="AGE",
            help="remove those older than this, such as 30d, 12h or 90m; at least the retention of the ratings' topic, "
            "the longer of what Kafka tells and of RATINGS_TOPIC_RETENTION_MS (default: twice that, and 30d at least)",
        )
        parser.add_argument(
            "--unsafe",
            action="store_true",
            help="remove them also where an event that is still in Kafka, or an older dead letter, may make a deleted "
            "rating stand again; with --older-than Kafka is not asked",
        )

    def handle(self, *args: Any, older_than: timedelta | None, unsafe: bool, **options: Any) -> None:
        with database_errors_told():
            code = self._purge(older_than, unsafe=unsafe)
        if code:
            raise SystemExit(code)

    def _purge(self, older_than: timedelta | None, *, unsafe: bool) -> int:
        purge = _planned(older_than, unsafe=unsafe)
        self.stdout.write(f"Removing tombstones from before {purge.before:%Y-%m-%d %H:%M:%S} UTC.")
        if purge.kept_for_letters:
            self.stdout.write(
                "Later ones stay: a dead letter of that time could still be replayed. `manage.py dead_letters` replays "
                "or discards it."
            )
        with (
            two_stage_shutdown(first_words="Finishing the step in hand.") as shutdown,
            shown_progress(title="Looking through the ratings", unit="removed", stream=sys.stderr) as meter,
        ):

            def show(step: PurgeStep) -> None:
                meter.update(count=step.removed, share=step.share)

            removed = purge_deleted(purge, on_step=show, stopping=lambda: shutdown.is_requested)
        self.stdout.write(f"Removed: {removed} tombstone{'' if removed == 1 else 's'}.")
        if shutdown.is_requested:
            self.stderr.write("Stopped: run it again for the rest.")
        return shutdown.exit_code


def _planned(older_than: timedelta | None, *, unsafe: bool) -> Purge:
    try:
        return planned_purge(older_than=older_than, unsafe=unsafe)
    except IngestionError as error:
        raise CommandError(str(error)) from None
    except KafkaError as error:
        raise CommandError(
            f"How long the topic {settings.RATINGS_TOPIC} keeps events is not known. {error} Nothing was removed; "
            "without asking Kafka only --unsafe with --older-than removes any."
        ) from None


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,9})([dhms])", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not an age such as 30d, 12h, 90m or 3600s")
    age = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if age > timedelta(days=36_500):
        raise ArgumentTypeError(f"{text} is more than a hundred years")
    return age

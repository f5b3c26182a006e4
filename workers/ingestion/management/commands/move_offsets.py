"""`manage.py move_offsets`: decide where a consumer group goes on reading."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.database_errors import database_errors_told
from workers.ingestion.errors import IngestionError
from workers.ingestion.management.asking import is_confirmed_on_terminal
from workers.ingestion.positions.destination import Destination, Exactly, destination, partition_number
from workers.ingestion.positions.moving import move_offsets
from workers.ingestion.positions.planning import Move, MoveRequest, PlanChanged
from workers.kafka.arguments import group_name, topic_name
from workers.kafka.errors import KafkaError
from workers.tables import Column, table_text


class Command(BaseCommand):
    help = (
        "Move a consumer group's position in a topic, once: shows what that will do, and asks. Consumers may run: they "
        "notice within a second or so, and go on from there by themselves (more than five moves in a minute end them). "
        "It holds for every --delivery. What is read again changes nothing that is newer. latest is the end as it is "
        "after your answer; where the move would otherwise do something else by then, nothing is moved. Exit code: 0 "
        "moved, 1 nothing was moved, 2 wrong options."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to",
            type=destination,
            required=True,
            metavar="WHERE",
            help="earliest; latest; the first message of a time or later, as 2026-01-31T12:00:00Z or in milliseconds "
            "since 1970; or PARTITION:OFFSET[,PARTITION:OFFSET…]",
        )
        parser.add_argument(
            "--group", type=group_name, default=settings.RATINGS_CONSUMER_GROUP, help="(default: %(default)s)"
        )
        parser.add_argument("--topic", type=topic_name, default=settings.RATINGS_TOPIC, help="(default: %(default)s)")
        parser.add_argument(
            "--partition",
            dest="partitions",
            type=partition_number,
            action="extend",
            nargs="+",
            default=[],
            metavar="N",
            help="only these partitions (default: all)",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(
        self, *args: Any, to: Destination, group: str, topic: str, partitions: list[int], yes: bool, **options: Any
    ) -> None:
        if partitions and isinstance(to, Exactly):
            raise CommandError("--partition and PARTITION:OFFSET exclude each other.", returncode=2)
        request = MoveRequest(group=group, topic=topic, destination=to, partitions=partitions)
        try:
            with database_errors_told():
                moved = move_offsets(request, confirm=lambda planned: self._confirmed(request, planned, yes=yes))
        except PlanChanged as changed:
            self.stdout.write(_text(request, changed.moves, self.stdout), ending="")
            raise CommandError(str(changed)) from None
        except (IngestionError, KafkaError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped before anything was moved.", returncode=130) from None
        if moved is None:
            raise CommandError("Nothing was moved: not confirmed.")
        again, skipped = sum(move.read_again for move in moved), sum(move.skipped for move in moved)
        partitions_moved = "1 partition" if len(moved) == 1 else f"{len(moved)} partitions"
        self.stdout.write(f"Moved {partitions_moved}. Offsets that are read again: {again:,}, skipped: {skipped:,}.")

    def _confirmed(self, request: MoveRequest, planned: Sequence[Move], *, yes: bool) -> bool:
        self.stdout.write(_text(request, planned, self.stdout), ending="")
        if yes:
            return True
        return is_confirmed_on_terminal(self.stdout, "Move the group?", undone="Nothing was moved")


def _text(request: MoveRequest, planned: Sequence[Move], output: Any) -> str:
    notes = ["Offsets are counted: transaction markers and compacted messages are among them."]
    if all(move.now is None for move in planned):
        notes.append(f"The group {request.group!r} has not begun to read this topic. Is its name right?")
    columns = [
        Column("partition", [str(move.partition) for move in planned], "all"),
        Column("now", ["not begun" if move.now is None else f"{move.now:,}" for move in planned]),
        Column("then", [f"{move.then:,}" for move in planned]),
        Column("read again", [f"{move.read_again:,}" for move in planned], f"{sum(m.read_again for m in planned):,}"),
        Column("skipped", [f"{move.skipped:,}" for move in planned], f"{sum(m.skipped for m in planned):,}"),
        Column("first", [f"{move.first:,}" for move in planned], rank=2),
        Column("end", [f"{move.end:,}" for move in planned], rank=1),
    ]
    return table_text(columns, title=f"Group {request.group}, topic {request.topic}", notes=notes, output=output)

"""One command, several processes: each is a member of the group, and together they behave as a single one does."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial

import structlog
from django.conf import settings

from workers.ingestion.consuming.postgres import PostgresStore
from workers.ingestion.consuming.process import ConsumeOptions, consume_ratings
from workers.ingestion.consuming.progress import CaughtUp, shown_catch_up
from workers.ingestion.consuming.watching import watched_positions
from workers.kafka.topics import Topic, describe_topic, end_offsets
from workers.processes.manage_process import ManageProcess
from workers.processes.supervising import Supervisor
from workers.shutdown import Shutdown, two_stage_shutdown

log = structlog.get_logger(__name__)

_BROKER_TIMEOUT = 30.0
_STOPPED = 128 + signal.SIGTERM


def consume_in_processes(options: ConsumeOptions, *, processes: int) -> int:
    """As `consume_ratings`, in so many processes of their own if it is more than one; returns the exit code.

    One that is killed is started again; one that cannot go on ends them all: then this raises ProcessFailed. When this
    process is gone, the others finish their batch in hand and end.
    """
    if processes == 1:
        return consume_ratings(options)
    topic = describe_topic(options.topic, timeout=_BROKER_TIMEOUT)
    if processes > topic.partitions:
        log.warning("more_processes_than_partitions", processes=processes, partitions=topic.partitions)
    on_bar = options.until_caught_up and sys.stderr.isatty()
    start = partial(_start, options, silenced=["progress"] if on_bar else [])
    supervisor = Supervisor(start=start, count=processes)
    with two_stage_shutdown(first_words="Finishing the batches in hand.", at_once=supervisor.kill) as shutdown:
        if options.until_caught_up:
            return _run_until_caught_up(supervisor.run, shutdown, topic=topic, group=options.group)
        supervisor.run(lambda: shutdown.is_requested)
        return 0


def _run_until_caught_up(
    run: Callable[[Callable[[], bool]], None], shutdown: Shutdown, *, topic: Topic, group: str
) -> int:
    """The processes themselves have no end in mind: one that looked later would want more than another."""
    ends = end_offsets(topic, timeout=_BROKER_TIMEOUT)
    with (
        watched_positions(PostgresStore(group=group, topic=topic)) as positions,
        shown_catch_up(topic=topic.name) as meter,
    ):
        caught_up = CaughtUp(positions=positions, ends=ends, meter=meter)
        run(lambda: shutdown.is_requested or caught_up())
    if caught_up.reached:
        return 0
    return shutdown.exit_code or _STOPPED


def _start(options: ConsumeOptions, number: int, *, silenced: list[str]) -> ManageProcess:
    return ManageProcess(arguments_of_one(options, number=number), number=number, silenced=silenced)


def arguments_of_one(options: ConsumeOptions, *, number: int) -> list[str]:
    """The command line of process `number`: what was asked for, but for what the whole has to do.

    Static members need a name each: the number is added to the one that was given, as -1, -2, …
    """
    instance = options.group_instance_id or settings.KAFKA_CLIENT_CONFIG.get("group.instance.id")
    return [
        "consume_ratings",
        f"--group={options.group}",
        f"--topic={options.topic}",
        f"--delivery={options.delivery.value}",
        *([f"--group-instance-id={instance}-{number}"] if instance else []),
        f"--batch-size={options.limits.messages}",
        f"--max-dead-letters={options.max_dead_letters}",
        f"--supervisor={os.getpid()}",
    ]

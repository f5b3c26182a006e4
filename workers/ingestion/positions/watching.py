"""Shows a group's lag once, or again and again until somebody stops it."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from django.core.management.base import CommandError
from django.db import close_old_connections

from movieapp.database_errors import database_errors_told
from workers.ingestion.positions.lag import GroupLag, LagMeter
from workers.ingestion.positions.lag_output import lag_json, lag_table
from workers.kafka.errors import KafkaError

_RATE_OVER = 1.0
_CLEAR_SCREEN = "\x1b[H\x1b[2J"


@dataclass(frozen=True, slots=True, kw_only=True)
class LagOptions:
    """What `lag` was asked for; `watch` is the pause between two looks in seconds, None for one look only."""

    group: str
    topic: str
    as_json: bool
    watch: float | None


def show_lag(options: LagOptions, *, output: TextIO, sleep: Callable[[float], None] = time.sleep) -> None:
    """Writes one look, after a second for the rate; with `watch` on and on: JSON a line a look, tables over each other.

    Raises CommandError when Kafka or the database does not answer; while watching only the first time: later it says
    so and goes on.
    """
    meter = LagMeter(group=options.group, topic=options.topic)
    with database_errors_told():
        meter.begin()
    sleep(_RATE_OVER)
    output.write(_shown(_look(meter), options, output))
    while options.watch is not None:
        output.flush()
        sleep(options.watch)
        close_old_connections()
        try:
            output.write(_shown(_look(meter), options, output))
        except CommandError as error:
            sys.stderr.write(f"{error}\n")


def _look(meter: LagMeter) -> GroupLag:
    try:
        with database_errors_told():
            return meter.look()
    except KafkaError as error:
        raise CommandError(str(error)) from None


def _shown(lag: GroupLag, options: LagOptions, output: TextIO) -> str:
    if options.as_json:
        return f"{lag_json(lag)}\n"
    clear = _CLEAR_SCREEN if options.watch is not None and output.isatty() else ""
    return f"{clear}{lag_table(lag, output=output)}"

"""Waits until a consumer group has applied the messages of one run, and counts what became of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from movieapp.progress import Meter
from workers.ingestion.selectors import dead_letter_offsets, group_positions
from workers.ingestion.sending.command_line import manage_command
from workers.kafka.deliveries import Deliveries
from workers.kafka.topics import Topic

_log = structlog.get_logger(__name__)
_LOOK_EVERY = 0.25
_HINT_EVERY = 5.0


def _positions(**identity: str) -> dict[int, int]:
    """The group's positions over a connection that works: a broken one is made anew."""
    close_old_connections()
    return group_positions(**identity)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Of the acknowledged messages: in the database, dead-lettered, and not yet passed when the time was over."""

    applied: int
    dead_lettered: int
    outstanding: int = 0


@dataclass(slots=True)
class GroupWatch:
    """One group's way through one topic. `on_wait` is called several times a second; what it raises ends the wait.

    `timeout` in seconds bounds the whole wait; None waits for as long as it takes, and says every few seconds when
    nothing advances.
    """

    topic: Topic
    group: str
    meter: Meter
    on_wait: Callable[[], None]
    timeout: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    positions: Callable[..., dict[int, int]] = _positions
    dead_letters: Callable[..., list[int]] = dead_letter_offsets
    _advanced_at: float = field(init=False, default=0.0)
    _hinted_at: float = field(init=False, default=0.0)

    def wait_for(self, deliveries: Deliveries) -> Arrival:
        """What the group made of these deliveries, once it has passed the last of them in every partition."""
        total, passed = deliveries.acknowledged, 0
        started = self._advanced_at = self._hinted_at = self.clock()
        while True:
            positions = self._read_positions()
            if positions is not None:
                before, passed = passed, _passed(deliveries, positions)
                if passed != before:
                    self._advanced_at = self.clock()
                self.meter.update(count=passed, share=passed / total if total else 1.0)
                if _past_all(deliveries, positions):
                    return self._counted(deliveries, passed)
            if self.timeout is not None and self.clock() - started > self.timeout:
                return self._counted(deliveries, passed, positions or {})
            self._hint()
            self.on_wait()
            self.sleep(_LOOK_EVERY)

    def _read_positions(self) -> dict[int, int] | None:
        """Where the group stands; None while the database does not answer, which is waited out like anything else."""
        try:
            return self.positions(group=self.group, cluster_id=self.topic.cluster_id, topic_id=self.topic.topic_id)
        except (OperationalError, InterfaceError) as error:
            _log.warning("the database does not answer; still waiting", error=type(error).__name__)
            return None

    def _hint(self) -> None:
        now = self.clock()
        quiet = now - self._advanced_at
        if quiet >= _HINT_EVERY and now - self._hinted_at >= _HINT_EVERY:
            self._hinted_at = now
            self.meter.say(
                f"Nothing applied for {quiet:.0f} s. Is a consumer of group {self.group} running? Start one in another "
                f"terminal: {manage_command(['consume_ratings', '--group', self.group])}"
            )

    def _counted(self, deliveries: Deliveries, passed: int, positions: dict[int, int] | None = None) -> Arrival:
        dead = 0
        for partition, first, last in deliveries.spans():
            highest = last if positions is None else min(last, positions.get(partition, 0) - 1)
            if highest >= first:
                dead += len(
                    self.dead_letters(
                        group=self.group,
                        cluster_id=self.topic.cluster_id,
                        topic_id=self.topic.topic_id,
                        partition=partition,
                        lowest=first,
                        highest=highest,
                    )
                )
        return Arrival(passed - dead, dead, deliveries.acknowledged - passed)


def _passed(deliveries: Deliveries, positions: dict[int, int]) -> int:
    """How many of the acknowledged messages lie before the group's positions."""
    return sum(
        min(max(positions.get(partition, 0) - first, 0), last + 1 - first)
        for partition, first, last in deliveries.spans()
    )


def _past_all(deliveries: Deliveries, positions: dict[int, int]) -> bool:
    return all(positions.get(partition, 0) >= end for partition, end in deliveries.ends().items())

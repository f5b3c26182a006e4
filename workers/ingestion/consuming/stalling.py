"""Notices a partition of which nothing comes though there is more of it, as when Kafka's client has forgotten it."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import structlog

from workers.clock import Clock
from workers.kafka.errors import KafkaError

log = structlog.get_logger(__name__)

_LOOK_EVERY = 30.0
_DRY_ENOUGH = 20

Place = tuple[int, int]
"""The epoch of a partition's owner, and the next offset that it wants."""


@dataclass(frozen=True, slots=True)
class _Seen:
    place: Place
    times_dry: int
    """How often the client had run dry when Kafka was first asked for the end beyond this place, if there is one."""


class StallWatch:
    """Asks Kafka every 30 s where partitions end: who still waits for such a message at a later look may have stalled.

    While the client has something to deliver all the time, a partition may just have to wait for others: nobody has
    stalled before the client ran dry often enough since. Time in which delivery is stopped tells nothing either way.
    """

    def __init__(
        self, *, ends: Callable[[Collection[int]], Mapping[int, int]], executor: Executor, clock: Clock
    ) -> None:
        """`ends` is GroupConsumer.ends, called in a thread of `executor`."""
        self._ends = ends
        self._executor = executor
        self._clock = clock
        self._looked_at = clock.seconds()
        self._times_dry = 0
        self._was_dry = False
        self._seen: Mapping[int, _Seen] = {}
        self._answer: Future[Mapping[int, int]] | None = None

    def fetched(self, messages: int, *, all_there_was: bool) -> None:
        """Takes note of a fetch: whether the client, with delivery on, had nothing more to deliver after it."""
        # One that goes on after a pause fetches anew, and has nothing at first: that is not to have run dry.
        if all_there_was and (messages or self._was_dry):
            self._times_dry += 1
        self._was_dry = all_there_was

    def look(self, places: Callable[[], Mapping[int, Place]]) -> list[int]:
        """The partitions that have stalled; `places` are those of which nothing is on its way, asked when it is time.

        Nothing is said of a partition while Kafka does not answer.
        """
        now = self._clock.seconds()
        if now - self._looked_at < _LOOK_EVERY or (self._answer is not None and not self._answer.done()):
            return []
        self._looked_at = now
        ends, standing = self._told(), places()
        owed = {
            partition: seen.times_dry
            for partition, seen in self._seen.items()
            if standing.get(partition) == seen.place and ends.get(partition, 0) > seen.place[1]
        }
        self._seen = {part: _Seen(place, owed.get(part, self._times_dry)) for part, place in standing.items()}
        self._answer = self._executor.submit(self._ends, standing.keys()) if standing else None
        stalled = [part for part, times_dry in owed.items() if self._times_dry - times_dry >= _DRY_ENOUGH]
        for partition in stalled:
            log.warning("delivery_stalled", partition=partition, offset=standing[partition][1], end=ends[partition])
        return stalled

    def _told(self) -> Mapping[int, int]:
        if self._answer is None:
            return {}
        try:
            return self._answer.result()
        except KafkaError:
            return {}

"""Notices a partition of which nothing comes though there is more of it, as when Kafka's client has forgotten it."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future

import structlog

from workers.clock import Clock
from workers.kafka.errors import KafkaError

log = structlog.get_logger(__name__)

_LOOK_EVERY = 30.0

Place = tuple[int, int]
"""The epoch of a partition's owner, and the next offset that it wants."""


class StallWatch:
    """Asks Kafka every 30 s where partitions end: who still waits for such a message at the next look has stalled.

    While the client has something to deliver all the time, a partition may just have to wait for others: nobody has
    stalled before it has run dry.
    """

    def __init__(
        self, *, ends: Callable[[Collection[int]], Mapping[int, int]], executor: Executor, clock: Clock
    ) -> None:
        """`ends` is GroupConsumer.ends, called in a thread of `executor`."""
        self._ends = ends
        self._executor = executor
        self._clock = clock
        self._looked_at = clock.seconds()
        self._places: Mapping[int, Place] = {}
        self._ran_dry = False
        self._answer: Future[Mapping[int, int]] | None = None

    def forget(self) -> None:
        """Delivery was stopped until now: who waits has had a reason."""
        self._places = {}

    def fetched(self, *, all_there_was: bool) -> None:
        """Takes note of a fetch: whether the client had nothing more to deliver after it."""
        self._ran_dry = self._ran_dry or all_there_was

    def look(self, places: Callable[[], Mapping[int, Place]]) -> list[int]:
        """The partitions that have stalled; `places` are those of which nothing is on its way, asked when it is time.

        Nothing is said of a partition while Kafka does not answer.
        """
        now = self._clock.seconds()
        if now - self._looked_at < _LOOK_EVERY or (self._answer is not None and not self._answer.done()):
            return []
        self._looked_at = now
        before, ends = self._places if self._ran_dry else {}, self._told()
        self._ran_dry = False
        self._places = places()
        self._answer = self._executor.submit(self._ends, self._places.keys()) if self._places else None
        stalled = [
            part for part, place in self._places.items() if before.get(part) == place and ends.get(part, 0) > place[1]
        ]
        for partition in stalled:
            log.warning("delivery_stalled", partition=partition, offset=self._places[partition][1], end=ends[partition])
        return stalled

    def _told(self) -> Mapping[int, int]:
        if self._answer is None:
            return {}
        try:
            return self._answer.result()
        except KafkaError:
            return {}

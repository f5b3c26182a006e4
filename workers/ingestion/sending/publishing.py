"""Sends a file's events to Kafka: the loop from events to messages, and when it has to end early."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ratings.events import encode_event, partition_key
from workers.ingestion.errors import IngestionError
from workers.ingestion.sending.files.events import FileEvents, Rejection
from workers.kafka.deliveries import Deliveries
from workers.kafka.producer import Producer

_BATCH = 1_000
_SHOWN_REJECTIONS = 20


class InvalidEvent(IngestionError):
    """An event is not acceptable, and the caller does not want to skip such ones."""


class NoAnswer(IngestionError):
    """Kafka has acknowledged nothing for as long as the caller wants to wait."""

    def __init__(self, *, timeout: float, reason: str) -> None:
        because = f" (the client says: {reason})" if reason else ""
        super().__init__(f"Kafka acknowledged nothing for {timeout:g} s{because}")


class DeliveryRefused(IngestionError):
    """Kafka answered that it does not take a message."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in one of the files: the line, or in JSON the element, from 1 on."""

    file: int
    position: int


@dataclass(slots=True)
class Tally:
    """What was read so far. `next_place` is the first position that was not read."""

    read: int = 0
    rejected: int = 0
    shown: list[str] = field(default_factory=list)
    next_place: Place = field(default_factory=lambda: Place(0, 1))

    def reject(self, path: str, position: int, rejection: Rejection) -> str:
        """Count one rejection; its place and reason in words."""
        element = f" (element {position})" if position != rejection.line else ""
        text = f"{path}:{rejection.line}{element}: {rejection.reason}"
        self.rejected += 1
        if len(self.shown) < _SHOWN_REJECTIONS:
            self.shown.append(text)
        return text


@dataclass(slots=True)
class Publisher:
    """Sends the events of one file after the other through `producer`, and watches over its answers.

    `timeout` is the longest time in seconds without an acknowledgement while one is due. `on_tick` is called at
    least every thousand events; what it raises ends the sending.
    """

    producer: Producer
    timeout: float
    skip_invalid: bool
    on_tick: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    tally: Tally = field(default_factory=Tally)
    _acknowledged: int = 0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._since = self.clock()

    @property
    def deliveries(self) -> Deliveries:
        """What became of the messages so far."""
        return self.producer.deliveries

    def publish(self, events: FileEvents, *, path: str, file: int, start_at: int = 1) -> None:
        """Queue the events of one file. Returns once all are queued: `drain` waits for the last answers.

        Raises InvalidEvent, NoAnswer, DeliveryRefused, KafkaError, and what `events` and `on_tick` raise; the tally
        is right in any case.
        """
        tally, send = self.tally, self.producer.send
        tally.next_place = Place(file, start_at)
        until_tick = 0
        for position, event in events:
            if not until_tick:
                self.producer.begin(Place(file, position))
                self.tick()
                until_tick = _BATCH
            until_tick -= 1
            if isinstance(event, Rejection):
                self._reject(path, file, position, event)
                continue
            key, value = partition_key(event), encode_event(event)
            try:
                send(key, value)
            except BufferError:
                self._send_when_there_is_room(key, value)
            tally.read += 1
            tally.next_place = Place(file, position + 1)

    def tick(self) -> None:
        """Take in answers. Raises NoAnswer, DeliveryRefused, and what `on_tick` raises."""
        self._take_answers(0)
        self.on_tick()

    def drain(self) -> None:
        """Wait until every message has its answer. Raises as `tick` does."""
        while self.producer.waiting():
            self._take_answers(0.1)
            self.on_tick()
        self.tick()

    def settle(self, *, timeout: float) -> None:
        """After a failure: wait up to `timeout` seconds for the answers that still come, then give the rest up."""
        deadline = self.clock() + timeout
        while self.producer.waiting() and self.clock() < deadline:
            self.producer.poll(0.1)
        self.producer.give_up()

    def resume_place(self) -> Place:
        """The place before which every valid event is acknowledged: where a second run may start."""
        first = self.deliveries.first_unacknowledged()
        return first if isinstance(first, Place) else self.tally.next_place

    def _reject(self, path: str, file: int, position: int, rejection: Rejection) -> None:
        text = self.tally.reject(path, position, rejection)
        self.tally.read += 1
        if not self.skip_invalid:
            self.tally.next_place = Place(file, position)
            raise InvalidEvent(text)
        self.tally.next_place = Place(file, position + 1)

    def _send_when_there_is_room(self, key: bytes, value: bytes) -> None:
        while True:
            self._take_answers(0.1)
            self.on_tick()
            try:
                return self.producer.send(key, value)
            except BufferError:
                continue

    def _take_answers(self, wait: float) -> None:
        self.producer.poll(wait)
        deliveries = self.producer.deliveries
        now = self.clock()
        if deliveries.acknowledged != self._acknowledged or not self.producer.waiting():
            self._acknowledged = deliveries.acknowledged
            self._since = now
        elif now - self._since > self.timeout:
            raise NoAnswer(timeout=self.timeout, reason=self.producer.last_error())
        if deliveries.refused:
            raise DeliveryRefused(f"Kafka refused a message: {next(iter(deliveries.refused))}")


class DiscardingProducer:
    """A Producer for a dry run: takes everything, sends nothing and acknowledges nothing."""

    def __init__(self) -> None:
        self.deliveries = Deliveries()

    def begin(self, place: object) -> None:
        """Nothing to remember."""

    def send(self, key: bytes, value: bytes) -> None:
        """Nothing to send."""

    def poll(self, timeout: float) -> None:
        """Nothing to wait for."""

    def waiting(self) -> int:
        """Nothing ever waits."""
        return 0

    def last_error(self) -> str:
        """Nothing can go wrong."""
        return ""

    def give_up(self) -> None:
        """Nothing to give up."""

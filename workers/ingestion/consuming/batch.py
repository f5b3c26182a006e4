"""A batch: decoded events of several partitions, each with the range of offsets that it stands for."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from ratings.errors import InvalidRating
from ratings.events import RatingEvent, decode_event
from workers.kafka.group import Commit, Message, headers_of

_NO_TIME = 0
"""librdkafka's TIMESTAMP_NOT_AVAILABLE."""
_SAMPLED = 16
"""One message in so many has its key and headers read for their size, and stands for its neighbours."""
_NO_HEADERS = "its headers are not kept, as the name of one is not UTF-8"


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is written: at this many messages or bytes, or when its first message is this many seconds old.

    Sooner while nothing is being written, and later while the two before it are on their way: it is small when little
    comes, and as large as this, give or take a fetch, while the group is behind.
    """

    messages: int = 50_000
    bytes: int = 16_777_216
    seconds: float = 0.2

    def are_reached(self, batch: "Batch") -> bool:
        """True of a batch that is full, however old."""
        return batch.messages >= self.messages or batch.bytes >= self.bytes


@dataclass(slots=True)
class Claim:
    """One partition as this consumer owns it: its epoch, and how far its messages have been put into batches.

    `latest_time` is the running maximum of record times, in microseconds since the Unix epoch.
    """

    epoch: int
    next_offset: int
    latest_time: int = 0
    leader_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is no rating event, verbatim, with the field and the reason; `time` in microseconds."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    time: int
    field: str
    reason: str


@dataclass(slots=True)
class Slice:
    """One partition's share: what stands from offset `start` up to, without, offset `end`.

    `end` may be past the last message: transaction markers and compacted records are passed, not delivered.
    """

    partition: int
    epoch: int
    start: int
    end: int
    latest_time: int
    leader_epoch: int | None = None
    events: list[RatingEvent] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    """Those of the events, one each: one that the database refuses is kept verbatim."""
    letters: list[Letter] = field(default_factory=list)
    bytes: int = 0


class Batch:
    """Slices by partition; grows by `add` and `pass_end` until it is handed to the store, and never after."""

    def __init__(self, slices: Iterable[Slice] = ()) -> None:
        self._slices = {part.partition: part for part in slices}
        self.messages = sum(len(part.events) + len(part.letters) for part in self._slices.values())
        self.bytes = sum(part.bytes for part in self._slices.values())

    def __iter__(self) -> Iterator[Slice]:
        """The slices in the order of their partitions."""
        return iter([self._slices[partition] for partition in sorted(self._slices)])

    def __bool__(self) -> bool:
        return bool(self._slices)

    @property
    def partitions(self) -> Collection[int]:
        """The partitions that have a slice here."""
        return self._slices.keys()

    @property
    def letters(self) -> int:
        """How many dead letters it brings."""
        return sum(len(part.letters) for part in self._slices.values())

    @property
    def commits(self) -> dict[int, Commit]:
        """What Kafka is told of it."""
        return {part.partition: Commit(part.end, part.epoch, part.leader_epoch, part.latest_time) for part in self}

    def add(self, messages: Iterable[Message], claims: Mapping[int, Claim], *, now: int) -> None:
        """Decodes the messages of claimed partitions; others are dropped, and so is an offset that was added before.

        A message's time is Kafka's, but never before an earlier one's of its partition nor after `now`, both in
        microseconds.
        """
        for partition, run in groupby(messages, lambda message: message.partition()):
            part = self._slice(partition, claims)
            if part is not None:
                self._add_run(part, run, now)

    def _add_run(self, part: Slice, messages: Iterable[Message], now: int) -> None:
        """What is done for each message is the consumer's CPU: locals and bound methods, and one look at each field."""
        add_event, add_time, add_message = part.events.append, part.times.append, part.messages.append
        held = len(part.events) + len(part.letters)
        end, latest_time, size, last = part.end, part.latest_time, 0, None
        latest_millisecond = latest_time // 1000
        for message in messages:
            offset = message.offset()
            if offset < end:
                continue
            kind, milliseconds = message.timestamp()
            if milliseconds > latest_millisecond or kind == _NO_TIME:  # many share the millisecond of the one before
                time = milliseconds * 1000
                if time > now or kind == _NO_TIME:
                    time = now
                latest_time = max(latest_time, time)
                latest_millisecond = latest_time // 1000
            value = message.value()
            try:
                event = decode_event(value)
            except InvalidRating as invalid:
                part.letters.append(letter_of(message, latest_time, field=invalid.field, reason=invalid.reason))
            else:
                add_event(event)
                add_time(latest_time)
                add_message(message)
            if value:
                size += len(value)
            if offset % _SAMPLED == 0:
                size += _SAMPLED * _rest_of_its_size(message)
            end, last = offset + 1, message
        if last is not None:
            part.end, part.latest_time, part.leader_epoch = end, latest_time, last.leader_epoch()
            part.bytes += size
            self.bytes += size
            self.messages += len(part.events) + len(part.letters) - held

    def pass_end(self, ends: Mapping[int, int], claims: Mapping[int, Claim]) -> None:
        """Extends the slices to the end that the partition has for now."""
        for partition, end in ends.items():
            claim = claims.get(partition)
            if claim is None:
                continue
            standing = self._slices.get(partition)
            if end > (standing.end if standing else claim.next_offset):
                part = self._slice(partition, claims)
                if part is not None:
                    part.end = end

    def only(self, claims: Mapping[int, Claim]) -> "Batch":
        """The slices whose partition is still claimed with the same epoch; the batch itself if it loses none."""
        return self.without(
            [
                part.partition
                for part in self
                if part.partition not in claims or claims[part.partition].epoch != part.epoch
            ]
        )

    def without(self, partitions: Collection[int]) -> "Batch":
        """The slices of the other partitions; the batch itself if that is all."""
        if self._slices.keys().isdisjoint(partitions):
            return self
        return Batch(part for part in self if part.partition not in partitions)

    def passing(self, partitions: Collection[int]) -> "Batch":
        """The batch with nothing in the slices of these partitions but their end: what stood there is passed over."""
        if self._slices.keys().isdisjoint(partitions):
            return self
        return Batch(_passed(part) if part.partition in partitions else part for part in self)

    def _slice(self, partition: int, claims: Mapping[int, Claim]) -> Slice | None:
        part = self._slices.get(partition)
        if part is None:
            claim = claims.get(partition)
            if claim is None:
                return None
            part = Slice(
                partition=partition,
                epoch=claim.epoch,
                start=claim.next_offset,
                end=claim.next_offset,
                latest_time=claim.latest_time,
                leader_epoch=claim.leader_epoch,
            )
            self._slices[partition] = part
        return part


def _passed(part: Slice) -> Slice:
    return Slice(
        partition=part.partition,
        epoch=part.epoch,
        start=part.end,
        end=part.end,
        latest_time=part.latest_time,
        leader_epoch=part.leader_epoch,
    )


def _rest_of_its_size(message: Message) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in headers_of(message) or ())
    return len(message.key() or b"") + headers


def letter_of(message: Message, time: int, *, field: str, reason: str) -> Letter:
    """The message, verbatim, as a dead letter; `time` in microseconds since the Unix epoch."""
    headers = headers_of(message)
    return Letter(
        offset=message.offset(),
        key=message.key(),
        value=message.value(),
        headers=headers or (),
        time=time,
        field=field,
        reason=reason if headers is not None else f"{reason}; {_NO_HEADERS}",
    )

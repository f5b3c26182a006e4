"""A batch: decoded events of several partitions, each with the range of offsets that it stands for."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ratings.errors import InvalidRating
from ratings.events import RatingEvent, decode_event
from workers.kafka.group import Message, headers_of

_NO_TIME = 0
"""librdkafka's TIMESTAMP_NOT_AVAILABLE."""
_NO_HEADERS = "its headers are not kept, as the name of one is not UTF-8"


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is written: at this many messages or bytes, or when its first message is this many seconds old."""

    messages: int = 20_000
    bytes: int = 16_777_216
    seconds: float = 0.2


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

    def add(self, messages: Iterable[Message], claims: Mapping[int, Claim], *, now: int) -> None:
        """Decodes the messages of claimed partitions; others are dropped, and so is an offset that was added before.

        A message's time is Kafka's, but never before an earlier one's of its partition nor after `now`, both in
        microseconds.
        """
        part: Slice | None = None
        for message in messages:
            partition, offset = message.partition(), message.offset()
            if part is None or part.partition != partition:  # messages come in runs of one partition
                part = self._slice(partition, claims)
            if part is None or offset < part.end:
                continue
            value = message.value()
            kind, milliseconds = message.timestamp()
            time = milliseconds * 1000
            if time > now or kind == _NO_TIME:
                time = now
            if time < part.latest_time:
                time = part.latest_time
            else:
                part.latest_time = time
            try:
                event = decode_event(value)
            except InvalidRating as invalid:
                part.letters.append(_letter(message, time, invalid))
            else:
                part.events.append(event)
                part.times.append(time)
            part.end = offset + 1
            part.leader_epoch = message.leader_epoch()
            size = len(value) if value else 0
            part.bytes += size
            self.bytes += size
            self.messages += 1

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
        """The slices whose partition is still claimed with the same epoch."""
        return Batch(part for part in self if part.partition in claims and claims[part.partition].epoch == part.epoch)

    def without(self, partitions: Collection[int]) -> "Batch":
        """The slices of the other partitions."""
        return Batch(part for part in self if part.partition not in partitions)

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


def _letter(message: Message, time: int, invalid: InvalidRating) -> Letter:
    headers = headers_of(message)
    return Letter(
        offset=message.offset(),
        key=message.key(),
        value=message.value(),
        headers=headers or (),
        time=time,
        field=invalid.field,
        reason=invalid.reason if headers is not None else f"{invalid.reason}; {_NO_HEADERS}",
    )

"""A producer in memory with the real one's contract, for tests of what sends to Kafka."""

from collections import deque
from dataclasses import dataclass, field

from workers.kafka.deliveries import Batch, Deliveries
from workers.kafka.errors import RequestRefused

_MAX_MESSAGE = 1_000_000  # bytes; librdkafka's message.max.bytes


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message as a partition keeps it."""

    key: bytes
    value: bytes


@dataclass(slots=True)
class MemoryTarget:
    """Partitions as lists, whose index is the offset. `away` stops every answer; `refusal` answers with an error."""

    partitions: list[list[SentMessage]]
    away: bool = False
    refusal: str = ""

    @classmethod
    def with_partitions(cls, count: int) -> "MemoryTarget":
        """An empty topic."""
        return cls([[] for _ in range(count)])


@dataclass(slots=True)
class MemoryProducer:
    """A Producer to a MemoryTarget; messages arrive while it is polled. `capacity` is the length of its queue."""

    target: MemoryTarget
    capacity: int = 100_000
    deliveries: Deliveries = field(default_factory=Deliveries)
    _queue: deque[tuple[Batch, SentMessage]] = field(default_factory=deque)
    _batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        self.begin(None)

    def begin(self, place: object) -> None:
        """See Producer."""
        self._batch = self.deliveries.begin(place)

    def send(self, key: bytes, value: bytes) -> None:
        """See Producer."""
        if len(value) > _MAX_MESSAGE:
            raise RequestRefused(request="take a message", code="MSG_SIZE_TOO_LARGE", reason="it is too large")
        if len(self._queue) >= self.capacity:
            raise BufferError("the queue is full")
        self._queue.append((self._batch, SentMessage(key, value)))
        self._batch.unsettled += 1

    def poll(self, timeout: float) -> None:
        """See Producer. Never waits: what is away now is away after any time."""
        while self._queue and not self.target.away:
            batch, message = self._queue.popleft()
            if self.target.refusal:
                self.deliveries.refuse(self.target.refusal)
                continue
            partition = murmur2_partition(message.key, len(self.target.partitions))
            self.target.partitions[partition].append(message)
            self.deliveries.acknowledge(batch, partition, len(self.target.partitions[partition]) - 1)

    def waiting(self) -> int:
        """See Producer."""
        return len(self._queue)

    def last_error(self) -> str:
        """See Producer."""
        return "the topic in memory is away" if self.target.away else ""

    def give_up(self) -> None:
        """See Producer."""
        while self._queue:
            self._queue.popleft()
            self.deliveries.give_up()


def murmur2_partition(key: bytes, partitions: int) -> int:
    """The partition that Java's default partitioner, and librdkafka's murmur2_random, choose for a key."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2)."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    whole = len(data) // 4 * 4
    value = (0x9747B28C ^ len(data)) & mask
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * multiplier & mask
        word = (word ^ (word >> 24)) * multiplier & mask
        value = (value * multiplier & mask) ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ (value >> 13)) * multiplier & mask
    return value ^ (value >> 15)

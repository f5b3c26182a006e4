"""A topic and the members of one group that reads it, in memory: for tests, which decide who owns which partition.

What is done to a member (`give`, `revoke`, `lose`) reaches its listener inside its next `fetch`, as a rebalance does.
Messages that the same `fetch` had collected before are delivered nevertheless: a consumer has to stand that.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from workers.kafka.errors import OffsetNotAvailable, RequestRefused, TopicMadeAnew
from workers.kafka.group import Commit, Fetched, GroupListener, NotCommitted, Start

_CREATE_TIME = 1

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class MemoryMessage:
    """One message as it was appended; read through the methods of `workers.kafka.group.Message`."""

    _partition: int
    _offset: int
    _key: bytes | None
    _value: bytes | None
    _headers: Headers | None
    _timestamp: tuple[int, int]

    def partition(self) -> int:
        """Where it stands."""
        return self._partition

    def offset(self) -> int:
        """Its place in the partition."""
        return self._offset

    def key(self) -> bytes | None:
        """As appended."""
        return self._key

    def value(self) -> bytes | None:
        """As appended."""
        return self._value

    def headers(self) -> Headers | None:
        """As appended."""
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        """Kind (0 is none) and milliseconds since the Unix epoch."""
        return self._timestamp

    def leader_epoch(self) -> int | None:
        """Always the same leader."""
        return 0


class MemoryTopic:
    """Partitions of messages. An offset may hold no message, as a transaction's marker does."""

    name = "memory"

    def __init__(self, partitions: int) -> None:
        self.commits: dict[str, dict[int, Commit]] = {}
        """What each group has committed, by partition."""
        self.times_made = 0
        self._logs: list[list[MemoryMessage | None]] = []
        self._firsts: list[int] = []
        self.make_anew(partitions)

    def make_anew(self, partitions: int) -> None:
        """Deletes the topic and creates it again, empty; consumers read on in it where they were in the old one."""
        self.times_made += 1
        self._logs = [[] for _ in range(partitions)]
        self._firsts = [0] * partitions

    @property
    def partitions(self) -> range:
        """The numbers of the partitions."""
        return range(len(self._logs))

    def append(
        self,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        milliseconds: int | None = None,
    ) -> int:
        """Adds a message at the partition's end and returns its offset; without `milliseconds` it has no time."""
        log = self._logs[partition]
        time = (0, 0) if milliseconds is None else (_CREATE_TIME, milliseconds)
        log.append(MemoryMessage(partition, len(log), key, value, headers, time))
        return len(log) - 1

    def skip(self, partition: int) -> None:
        """Uses up an offset without a message."""
        self._logs[partition].append(None)

    def delete_before(self, partition: int, offset: int) -> None:
        """What retention does: the partition begins at `offset`."""
        self._firsts[partition] = offset

    def first(self, partition: int) -> int:
        """The lowest offset that can be read."""
        return self._firsts[partition]

    def end(self, partition: int) -> int:
        """The offset that the next message will get."""
        return len(self._logs[partition])

    def messages(self, partition: int, start: int, end: int) -> list[MemoryMessage]:
        """The messages from offset `start` up to, without, `end`."""
        return [message for message in self._logs[partition][start:end] if message is not None]


@dataclass(slots=True)
class _Reader:
    position: int
    paused: bool = False
    told_end: int = -1


class MemoryGroupConsumer:
    """A GroupConsumer of one MemoryTopic. `idle` is called with the time-out when a fetch finds nothing."""

    def __init__(
        self, topic: MemoryTopic, *, group: str = "rating", idle: Callable[[float], None] = lambda _: None
    ) -> None:
        self.commit_fault: NotCommitted | None = None
        """What the next `commit_now` answers; what it does not name is committed."""
        self.waiting_for: str | None = None
        """See GroupConsumer; what the test says."""
        self._commits: dict[int, Commit] = topic.commits.setdefault(group, {})
        self._topic = topic
        self._times_made = topic.times_made
        self._idle = idle
        self._listener: GroupListener | None = None
        self._readers: dict[int, _Reader] = {}
        self._changes: deque[tuple[str, list[int]]] = deque()

    # --- What a test does to a member -------------------------------------------------------------------------------

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions of this member, as far as it knows."""
        return frozenset(self._readers)

    @property
    def paused(self) -> frozenset[int]:
        """Those of them that deliver nothing at the moment."""
        return frozenset(partition for partition, reader in self._readers.items() if reader.paused)

    def give(self, *partitions: int) -> None:
        """Assigns partitions that are nobody's."""
        self._changes.append(("give", list(partitions)))

    def revoke(self, *partitions: int) -> None:
        """Asks for partitions; they may be given to another member once they are not `assigned` any more."""
        self._changes.append(("revoke", list(partitions)))

    def lose(self, *partitions: int) -> None:
        """Lets the member learn that its partitions went to another member some time ago."""
        self._changes.append(("lose", list(partitions)))

    # --- GroupConsumer ----------------------------------------------------------------------------------------------

    def join(self, listener: GroupListener) -> None:
        """See GroupConsumer; partitions are given by the test."""
        self._listener = listener

    def fetch(self, *, most: int, timeout: float) -> Fetched:
        """See GroupConsumer. Raises OffsetNotAvailable for a position that the topic does not have."""
        messages: list[MemoryMessage] = []
        ends: dict[int, int] = {}
        self._collect(messages, ends, most // 2 if self._changes else most)
        if self._changes:
            while self._changes:
                self._change(*self._changes.popleft())
            self._collect(messages, ends, most)
        if not messages and not ends:
            self._idle(timeout)
        return Fetched(messages, ends)

    def first_offset(self, partition: int) -> int:
        """See GroupConsumer."""
        return self._topic.first(partition)

    def known_ends(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """See GroupConsumer."""
        return {partition: self._topic.end(partition) for partition in partitions}

    def ends(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """See GroupConsumer."""
        return {partition: self._topic.end(partition) for partition in partitions}

    def pause(self, partitions: Iterable[int]) -> None:
        """See GroupConsumer."""
        for partition in partitions:
            if partition in self._readers:
                self._readers[partition].paused = True

    def resume(self, partitions: Iterable[int]) -> None:
        """See GroupConsumer."""
        for partition in partitions:
            if partition in self._readers:
                self._readers[partition] = _Reader(self._readers[partition].position)

    def seek(self, partition: int, start: Start) -> None:
        """See GroupConsumer. Raises RequestRefused for a partition that is not assigned."""
        if partition not in self._readers:
            raise RequestRefused(request=f"seek in memory[{partition}]", code="_STATE", reason="not assigned")
        self._readers[partition] = _Reader(start.offset, paused=self._readers[partition].paused)

    def commit(self, commits: Mapping[int, Commit]) -> None:
        """See GroupConsumer."""
        self._commits |= commits

    def commit_now(self, commits: Mapping[int, Commit]) -> NotCommitted:
        """See GroupConsumer. Refuses what is not assigned."""
        fault, self.commit_fault = self.commit_fault or NotCommitted(), None
        refused = (fault.refused & commits.keys()) | (commits.keys() - self._readers.keys())
        # Whether a commit that nobody has answered took place is left to the test: even partitions have it.
        self._commits |= {
            partition: commit
            for partition, commit in commits.items()
            if partition not in refused and (partition not in fault.unknown or partition % 2 == 0)
        }
        return NotCommitted(refused=frozenset(refused), unknown=fault.unknown & commits.keys())

    def committed(self, partitions: Iterable[int]) -> Mapping[int, Commit]:
        """See GroupConsumer."""
        return {partition: self._commits[partition] for partition in partitions if partition in self._commits}

    def check_topic(self) -> None:
        """See GroupConsumer."""
        if self._topic.times_made != self._times_made:
            raise TopicMadeAnew(self._topic.name)

    def close(self) -> None:
        """See GroupConsumer."""
        if self._readers:
            self._change("revoke", sorted(self._readers))

    # ----------------------------------------------------------------------------------------------------------------

    def _change(self, kind: str, partitions: list[int]) -> None:
        assert self._listener is not None
        if kind == "give":
            for partition, start in self._listener.partitions_assigned(partitions).items():
                self._readers[partition] = _Reader(start.offset, paused=start.paused)
            return
        if kind == "revoke":
            self._listener.partitions_revoked(partitions)
        else:
            self._listener.partitions_lost(partitions)
        for partition in partitions:
            self._readers.pop(partition, None)

    def _collect(self, messages: list[MemoryMessage], ends: dict[int, int], most: int) -> None:
        for partition, reader in sorted(self._readers.items()):
            if reader.paused:
                continue
            first, end = self._topic.first(partition), self._topic.end(partition)
            if not first <= reader.position <= end:
                self.check_topic()
                raise OffsetNotAvailable(
                    topic=self._topic.name, partition=partition, wanted=reader.position, there=(first, end)
                )
            while reader.position < end and len(messages) < most:
                messages += self._topic.messages(partition, reader.position, reader.position + 1)
                reader.position += 1
            if reader.position == end != reader.told_end:
                ends[partition] = reader.told_end = end

"""A member of a consumer group, as the consume loop wants one: where to begin comes from the listener alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Protocol


class Message(Protocol):
    """What a fetched message can tell; librdkafka's own message is one."""

    def partition(self) -> int:
        """The partition that it stands in."""

    def offset(self) -> int:
        """Its place in the partition."""

    def key(self) -> bytes | None:
        """The key, if it has one."""

    def value(self) -> bytes | None:
        """The value; None is a tombstone."""

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Read them with `headers_of`."""

    def timestamp(self) -> tuple[int, int]:
        """The kind of time (0: there is none) and milliseconds since the Unix epoch."""

    def leader_epoch(self) -> int | None:
        """The epoch of the partition's leader that gave it, where known."""


# For a header whose name is not UTF-8 confluent-kafka 2.16 returns a result and leaves an exception set. CPython makes
# that a SystemError in a call from C, as this one is; a plain `message.headers()` in often run code skips the check,
# and the exception comes up anywhere later.
_read_headers = methodcaller("headers")


def headers_of(message: Message) -> tuple[tuple[str, bytes | None], ...] | None:
    """The message's headers; None where the name of one is not UTF-8, which the client cannot read."""
    try:
        return tuple(_read_headers(message) or ())
    except (SystemError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class Fetched:
    """Messages in each partition's order, and the end offset of each partition that has nothing more for now.

    An end counts what is no message (transaction markers, compacted records), so it may be past the last message.
    """

    messages: Sequence[Message] = ()
    ends: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin in a partition; one that is paused delivers nothing until it is resumed."""

    offset: int
    leader_epoch: int | None = None
    paused: bool = False


WAITING = Start(0, paused=True)
"""A start that only waits for a `seek`, as nobody can tell yet where to begin; the partition may lack this offset."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A position as it is told to Kafka: by which epoch of the partition's owner, and the last message's leader.

    `latest_time` is the running maximum of the partition's record times, in microseconds since the Unix epoch.
    """

    offset: int
    epoch: int
    leader_epoch: int | None = None
    latest_time: int = 0


@dataclass(frozen=True, slots=True)
class NotCommitted:
    """The partitions of which Kafka `refused` the commit, and those of which it is not known: nobody answered."""

    refused: frozenset[int] = frozenset()
    unknown: frozenset[int] = frozenset()


class GroupListener(Protocol):
    """Told of rebalances from inside `fetch` and `close`."""

    def partitions_assigned(self, partitions: Sequence[int]) -> Mapping[int, Start]:
        """Where to start each of these partitions, all of which are new to this member."""

    def partitions_revoked(self, partitions: Sequence[int]) -> None:
        """These go to another member when this returns: the last moment to finish their messages."""

    def partitions_lost(self, partitions: Sequence[int]) -> None:
        """These belong to another member already: their messages must be dropped."""


class GroupConsumer(Protocol):
    """One member of a consumer group on one topic. For a single thread.

    The listener is called while that thread is in `fetch` or `close`, never later, though `close` may do it in another.
    """

    @property
    def waiting_for(self) -> str | None:
        """Why Kafka did not answer the last `check_topic`, for people; None when it did."""

    def join(self, listener: GroupListener) -> None:
        """Joins the group; partitions arrive during `fetch`."""

    def fetch(self, *, most: int, timeout: float) -> Fetched:
        """Up to `most` messages within `timeout` seconds; tells the listener of rebalances.

        Raises OffsetNotAvailable, LogUnreadable, TopicNotFound, InstanceFenced or RequestRefused: waiting mends none.
        """

    def first_offset(self, partition: int) -> int:
        """The oldest offset that the partition still has. Raises BrokerUnavailable."""

    def known_ends(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """The end of each partition as the last fetch told it, without asking; left out where none has."""

    def ends(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """Where these end at the moment, or a transaction under way begins: what is before that can be read.

        May be called from another thread. Left out where nobody told it; raises BrokerUnavailable, TopicNotFound or
        RequestRefused where nobody told any.
        """

    def pause(self, partitions: Iterable[int]) -> None:
        """Stops delivery; what was fetched and not delivered is fetched again on `resume`."""

    def resume(self, partitions: Iterable[int]) -> None:
        """Goes on after the last message delivered."""

    def seek(self, partition: int, start: Start) -> None:
        """The next message delivered is the one at `start`. Raises RequestRefused while the partition is moving."""

    def commit(self, commits: Mapping[int, Commit]) -> None:
        """Tells Kafka the positions, without waiting for the answer; what it says comes too late to matter."""

    def commit_now(self, commits: Mapping[int, Commit]) -> NotCommitted:
        """Tells Kafka the positions and waits for its answer; without one for 5 s all partitions are lost.

        Not to be called by a listener.
        """

    def committed(self, partitions: Iterable[int]) -> Mapping[int, Commit]:
        """What was committed last of each partition; left out where nothing was, or not by a consumer of this kind.

        Raises BrokerUnavailable when nobody answers within 5 s, RequestRefused when the group is being rebalanced.
        """

    def check_topic(self) -> None:
        """Returns when the topic is still the one that it was: all that was fetched before this call came from it.

        May be called from another thread. Raises TopicMadeAnew, TopicNotFound or BrokerUnavailable.
        """

    def close(self) -> None:
        """Leaves the group at once; partitions are revoked first."""

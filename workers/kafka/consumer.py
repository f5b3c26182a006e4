"""A member of a consumer group, as the consume loop wants one: positions come from the listener, never from Kafka."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any, Protocol

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from workers.kafka.client import LastError, client_config, configuring
from workers.kafka.errors import BrokerUnavailable, OffsetNotAvailable, RequestRefused, TopicNotFound

log = structlog.get_logger(__name__)

AT_END = -1
"""The offset of a start that only waits, paused, for a `seek`: librdkafka's OFFSET_END asks for no message."""

# Waiting this long after a full queue (librdkafka's default is 1000 ms) would hold a reader to a fifth of its rate.
_QUEUE_BACKOFF_MS = 10
_ANSWER_SECONDS = 5.0
_UNKNOWN_EPOCH = -1  # librdkafka's own word for it


class Message(Protocol):
    """What a fetched message can tell; librdkafka's own message is one."""

    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def leader_epoch(self) -> int | None: ...


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


class GroupListener(Protocol):
    """Told of rebalances from inside `fetch` and `close`."""

    def partitions_assigned(self, partitions: Sequence[int]) -> Mapping[int, Start]:
        """Where to start each of these partitions, all of which are new to this member."""

    def partitions_revoked(self, partitions: Sequence[int]) -> None:
        """These go to another member when this returns: the last moment to finish their messages."""

    def partitions_lost(self, partitions: Sequence[int]) -> None:
        """These belong to another member already: their messages must be dropped."""


class GroupConsumer(Protocol):
    """One member of a consumer group on one topic. For a single thread, which is also that of the listener's calls."""

    def join(self, listener: GroupListener) -> None: ...
    def fetch(self, *, most: int, timeout: float) -> Fetched: ...
    def first_offset(self, partition: int) -> int: ...
    def known_ends(self, partitions: Iterable[int]) -> Mapping[int, int]: ...
    def pause(self, partitions: Iterable[int]) -> None: ...
    def resume(self, partitions: Iterable[int]) -> None: ...
    def seek(self, partition: int, start: Start) -> None: ...
    def commit(self, positions: Mapping[int, int]) -> None: ...
    def close(self) -> None: ...


class KafkaGroupConsumer:
    """A GroupConsumer on a real cluster; works with the eager, the cooperative and the `consumer` group protocol.

    Kafka's settings (KAFKA_CONFIG_…) choose the protocol; without a word from them it is cooperative-sticky, so
    that a rebalance stops only the partitions that move.
    """

    def __init__(self, *, group: str, topic: str, **overrides: Any) -> None:
        config = {"partition.assignment.strategy": "cooperative-sticky", **client_config(**overrides)}
        if config.get("group.protocol") == "consumer":
            del config["partition.assignment.strategy"]  # the broker assigns
        config |= client_config(
            group_id=group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            enable_partition_eof=True,
            auto_offset_reset="error",
            fetch_queue_backoff_ms=_QUEUE_BACKOFF_MS,
        )
        self._incremental = "cooperative" in config.get("partition.assignment.strategy", "cooperative")
        self._topic = topic
        self._last_error = LastError()
        with configuring():
            self._client = Consumer({**config, "error_cb": self._last_error})

    def join(self, listener: GroupListener) -> None:
        """Joins the group; partitions arrive during `fetch`."""
        self._client.subscribe(
            [self._topic],
            on_assign=lambda _, partitions: self._assigned(listener, partitions),
            on_revoke=lambda _, partitions: self._taken(listener.partitions_revoked, partitions),
            on_lost=lambda _, partitions: self._taken(listener.partitions_lost, partitions),
        )

    def fetch(self, *, most: int, timeout: float) -> Fetched:
        """Up to `most` messages within `timeout` seconds; runs the rebalance callbacks.

        Raises OffsetNotAvailable, TopicNotFound or RequestRefused for what waiting does not mend.
        """
        messages: list[Message] = []
        ends: dict[int, int] = {}
        for message in self._client.consume(most, timeout):
            error = message.error()
            if error is None:
                messages.append(message)  # type: ignore[arg-type]
            elif error.code() == ClientError._PARTITION_EOF:
                ends[message.partition() or 0] = message.offset() or 0
            else:
                self._check(error)
        return Fetched(messages, ends)

    def first_offset(self, partition: int) -> int:
        """The oldest offset that the partition still has. Raises BrokerUnavailable when none answers within 5 s."""
        try:
            lowest, _ = self._client.get_watermark_offsets(TopicPartition(self._topic, partition), _ANSWER_SECONDS)
        except KafkaException as error:
            reason = self._last_error.reason or error.args[0].str()
            servers = client_config()["bootstrap.servers"]
            raise BrokerUnavailable(servers=servers, timeout=_ANSWER_SECONDS, reason=reason) from error
        return int(lowest)

    def known_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The end of each partition as the last fetch told it, without asking; left out where none has told it."""
        ends = {}
        for position in self._positions(partitions):
            _, end = self._client.get_watermark_offsets(position, cached=True)
            if end >= 0:
                ends[position.partition] = end
        return ends

    def pause(self, partitions: Iterable[int]) -> None:
        """Stops delivery; what was fetched already and not delivered is fetched again on `resume`."""
        self._client.pause(self._positions(partitions))

    def resume(self, partitions: Iterable[int]) -> None:
        """Goes on after the last message delivered."""
        self._client.resume(self._positions(partitions))

    def seek(self, partition: int, start: Start) -> None:
        """The next message delivered is the one at `start`. Raises RequestRefused while the partition is moving."""
        try:
            self._client.seek(self._at(partition, start))
        except KafkaException as refused:
            error = refused.args[0]
            raise RequestRefused(
                request=f"seek in {self._topic}[{partition}]", code=error.name(), reason=error.str()
            ) from None

    def commit(self, positions: Mapping[int, int]) -> None:
        """Tells Kafka the positions, without waiting: for other people's lag tools, we never read them back."""
        try:
            self._client.commit(
                offsets=[TopicPartition(self._topic, partition, offset) for partition, offset in positions.items()],
                asynchronous=True,
            )
        except KafkaException as refused:
            log.debug("kafka_commit_refused", reason=refused.args[0].str())

    def close(self) -> None:
        """Leaves the group at once; partitions are revoked first."""
        self._client.close()

    def _assigned(self, listener: GroupListener, partitions: list[TopicPartition]) -> None:
        # A callback that raises leaves the client to assign at Kafka's own offsets: it must not happen.
        starts = listener.partitions_assigned([partition.partition for partition in partitions])
        positions = [self._at(partition, start) for partition, start in starts.items()]
        if self._incremental:
            self._client.incremental_assign(positions)
        else:
            self._client.assign(positions)
        self.pause(partition for partition, start in starts.items() if start.paused)

    def _taken(self, tell: Callable[[Sequence[int]], None], partitions: list[TopicPartition]) -> None:
        tell([partition.partition for partition in partitions])
        if self._incremental:
            self._client.incremental_unassign(partitions)
        else:
            self._client.unassign()

    def _check(self, error: ClientError) -> None:
        match error.code():
            case ClientError._AUTO_OFFSET_RESET:
                raise OffsetNotAvailable(topic=self._topic, reason=error.str())
            case ClientError.UNKNOWN_TOPIC_OR_PART | ClientError._UNKNOWN_TOPIC:
                raise TopicNotFound(self._topic)
            case _ if error.fatal() or error.code() in (
                ClientError._FATAL,  # how an error that ended the client is told to a poll; its own fatal() is false
                ClientError.TOPIC_AUTHORIZATION_FAILED,
                ClientError.GROUP_AUTHORIZATION_FAILED,
            ):
                raise RequestRefused(request=f"consume {self._topic}", code=error.name(), reason=error.str())
            case _:
                log.warning("kafka_error", code=error.name(), reason=error.str())

    def _positions(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    def _at(self, partition: int, start: Start) -> TopicPartition:
        leader_epoch = _UNKNOWN_EPOCH if start.leader_epoch is None else start.leader_epoch
        return TopicPartition(self._topic, partition, start.offset, leader_epoch=leader_epoch)

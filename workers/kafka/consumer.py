"""The GroupConsumer on a real cluster: librdkafka's consumer behind the port that the consume loop knows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from workers.kafka.client import LastError, client_config, configuring, with_guarantees
from workers.kafka.errors import BrokerUnavailable, OffsetNotAvailable, RequestRefused, TopicNotFound
from workers.kafka.group import Fetched, GroupListener, Message, Start

log = structlog.get_logger(__name__)

# Waiting this long after a full queue (librdkafka's default is 1000 ms) would hold a reader to a fifth of its rate.
_QUEUE_BACKOFF_MS = 10
# What KAFKA_CONFIG_… may not change: positions come from the listener alone, and the consume loop needs the ends.
_GUARANTEES = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "fetch.queue.backoff.ms": _QUEUE_BACKOFF_MS,
}
_ANSWER_SECONDS = 5.0
# How long a killed member keeps its partitions from others. librdkafka's default of 45 s makes every crash an outage.
_SESSION_TIMEOUT_MS = 10_000
_UNKNOWN_EPOCH = -1  # librdkafka's own word for it


class KafkaGroupConsumer:
    """A GroupConsumer on a real cluster; works with the eager, the cooperative and the `consumer` group protocol.

    Kafka's settings (KAFKA_CONFIG_…) choose the protocol; without a word from them it is cooperative-sticky, so
    that a rebalance stops only the partitions that move.
    """

    def __init__(self, *, group: str, topic: str, **overrides: Any) -> None:
        ours = {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": _SESSION_TIMEOUT_MS}
        config = client_config(**overrides)
        if config.get("group.protocol") != "consumer":  # there the broker assigns, and has the time-outs
            config = {**ours, **config}
        config = with_guarantees(config, {"group.id": group, **_GUARANTEES})
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

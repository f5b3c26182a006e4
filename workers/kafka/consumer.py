"""The GroupConsumer on a real cluster: librdkafka's consumer behind the port that the consume loop knows."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from workers.kafka.client import LastError, client_config, configuring
from workers.kafka.commits import REFUSED, UNKNOWN_EPOCH, told, understood
from workers.kafka.ends import readable_ends
from workers.kafka.errors import (
    BrokerUnavailable,
    KafkaError,
    LogUnreadable,
    OffsetNotAvailable,
    RequestRefused,
    TopicNotFound,
)
from workers.kafka.group import Commit, Fetched, GroupListener, Message, NotCommitted, Start
from workers.kafka.instance_name import InstanceName
from workers.kafka.member_config import member_config
from workers.kafka.patience import answered_within
from workers.kafka.topic_identity import TopicIdentity

log = structlog.get_logger(__name__)

_ANSWER_SECONDS = 5.0
# Without a broker the client would wait for the answers to its last commits, and that for the session's time-out.
_LEAVE_SECONDS = 5.0
# What a partition has at the position is not as it was written, or not in a form that this client knows.
_UNREADABLE = (ClientError._BAD_MSG, ClientError._BAD_COMPRESSION, ClientError._NOT_IMPLEMENTED)
_LEADER_MOVES = frozenset({ClientError.NOT_LEADER_FOR_PARTITION, ClientError.LEADER_NOT_AVAILABLE})
_LEADER_MOVES_WAIT = 0.1


class KafkaGroupConsumer:
    """A GroupConsumer on a real cluster; works with the eager, the cooperative and the `consumer` group protocol.

    Kafka's settings (KAFKA_CONFIG_…) choose the protocol; without a word from them it is cooperative-sticky, so
    that a rebalance stops only the partitions that move.
    """

    def __init__(self, *, group: str, topic: str, topic_id: str = "", **overrides: Any) -> None:
        """`topic_id` tells the topic from one made anew under its name; without it that is not looked at."""
        config = member_config(group, **overrides)
        self._incremental = "cooperative" in config.get("partition.assignment.strategy", "cooperative")
        self._topic, self._topic_id = topic, topic_id
        self._name = InstanceName(group=group, instance=config.get("group.instance.id", ""))
        self._last_error = LastError()
        self._config = {**config, "error_cb": self._last_error}
        with configuring():
            self._client = Consumer(self._config)
        self._listener: GroupListener | None = None
        self._held: set[int] = set()
        self._left_behind: list[Consumer] = []
        self._ending: KafkaError | None = None
        self._identity = TopicIdentity(topic=topic, topic_id=topic_id) if topic_id else None

    @property
    def waiting_for(self) -> str | None:
        """Why Kafka did not answer the last `check_topic`, for people; None when it did."""
        return None if self._identity is None else self._identity.unanswered

    def join(self, listener: GroupListener) -> None:
        """Joins the group; partitions arrive during `fetch`."""
        self._listener, client = listener, self._client
        client.subscribe(
            [self._topic],
            on_assign=lambda _, partitions: self._assigned(client, listener, partitions),
            on_revoke=lambda _, partitions: self._taken(client, listener.partitions_revoked, partitions),
            on_lost=lambda _, partitions: self._taken(client, listener.partitions_lost, partitions),
        )

    def fetch(self, *, most: int, timeout: float) -> Fetched:
        """Up to `most` messages within `timeout` seconds; runs the rebalance callbacks.

        Fetches nothing while another member has our static membership's name. Raises OffsetNotAvailable, LogUnreadable,
        TopicNotFound, InstanceFenced or RequestRefused for what waiting does not mend, once all before it is fetched.
        """
        if self._ending is not None:
            raise self._ending
        if self._name.is_refused and not self._joins_again(timeout):
            return Fetched([], {})
        messages: list[Message] = []
        ends: dict[int, int] = {}
        for message in self._client.consume(most, timeout):
            error = message.error()
            if error is None:
                messages.append(message)  # type: ignore[arg-type]
            elif error.code() == ClientError._PARTITION_EOF:
                ends[message.partition() or 0] = message.offset() or 0
            else:
                try:
                    self._check(error, message.partition() or 0, message.offset() or 0)
                except KafkaError as ending:
                    self._ending = ending
                    break  # what comes after it in its partition would close the gap
        if self._ending is not None and not messages:
            raise self._ending
        return Fetched(messages, ends)

    def first_offset(self, partition: int) -> int:
        """The oldest offset that the partition still has. Raises BrokerUnavailable when none answers within 5 s."""
        return self._watermarks(partition)[0]

    def known_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The end of each partition as the last fetch told it, without asking; left out where none has told it."""
        ends = {}
        for position in self._positions(partitions):
            _, end = self._client.get_watermark_offsets(position, cached=True)
            if end >= 0:
                ends[position.partition] = end
        return ends

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Where these end at the moment, or a transaction under way begins: what is before that can be read.

        May be called from another thread. Raises BrokerUnavailable when nobody answers within 5 s, or what it refuses.
        """
        return readable_ends(self._topic, partitions, timeout=_ANSWER_SECONDS)

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

    def commit(self, commits: Mapping[int, Commit]) -> None:
        """Tells Kafka the positions, without waiting for the answer; what it says comes too late to matter."""
        try:
            self._client.commit(offsets=self._commits(commits), asynchronous=True)
        except KafkaException as refused:
            log.debug("kafka_commit_refused", reason=refused.args[0].str())

    def commit_now(self, commits: Mapping[int, Commit]) -> NotCommitted:
        """Tells Kafka the positions and waits for its answer; without one for 5 s all partitions are lost.

        Not to be called by a listener.
        """
        places, client = self._commits(commits), self._client
        errors: dict[int, ClientError] = {}
        try:
            answers = answered_within(_ANSWER_SECONDS, lambda: client.commit(offsets=places, asynchronous=False))
            errors = {answer.partition: answer.error for answer in answers or () if answer.error is not None}
        except KafkaException as failed:
            errors = dict.fromkeys(commits, failed.args[0])
        except TimeoutError:  # the client waits for as long as Kafka is away, and takes no other call meanwhile
            errors = dict.fromkeys(commits, ClientError(ClientError._TIMED_OUT))
            self._begin_anew()
        for error in {error.code(): error for error in errors.values()}.values():
            log.warning("kafka_commit_failed", code=error.name(), reason=error.str())
        refused = frozenset(partition for partition, error in errors.items() if error.code() in REFUSED)
        return NotCommitted(refused=refused, unknown=frozenset(errors) - refused)

    def committed(self, partitions: Iterable[int]) -> Mapping[int, Commit]:
        """What was committed last of each partition; left out where nothing was, or not by a consumer of this kind.

        Raises BrokerUnavailable when nobody answers within 5 s, RequestRefused when the group is being rebalanced.
        """
        try:
            answers = self._client.committed(self._positions(partitions), timeout=_ANSWER_SECONDS)
        except KafkaException as failed:
            raise self._unanswered("read the group's offsets", failed.args[0]) from failed
        for answer in answers:
            if answer.error is not None:
                raise self._unanswered("read the group's offsets", answer.error)
        found = {answer.partition: understood(answer, topic_id=self._topic_id) for answer in answers}
        return {partition: commit for partition, commit in found.items() if commit is not None}

    def check_topic(self) -> None:
        """Returns when the topic is still the one that it was: all that was fetched before this call came from it.

        May be called from another thread. Raises TopicMadeAnew, TopicNotFound or BrokerUnavailable.
        """
        if self._identity is not None:
            self._identity.check()

    def close(self) -> None:
        """Leaves the group, partitions are revoked first; where nobody answers for 5 s the group finds that out."""
        try:
            answered_within(_LEAVE_SECONDS, self._client.close)
        except TimeoutError:  # it leaves once it can
            self._left_behind.append(self._client)
            log.warning("kafka_not_left", waited_seconds=_LEAVE_SECONDS)

    def _joins_again(self, timeout: float) -> bool:
        """Whether it was time to. With another client: one that was refused never asks again."""
        if self._listener is None or not self._name.may_join(timeout):
            return False
        self.close()
        self._client = Consumer(self._config)
        self.join(self._listener)
        return True

    def _begin_anew(self) -> None:
        """With another client, as another member of the group; the former one leaves once it can."""
        stuck = self._client
        self._left_behind.append(stuck)  # first: its callbacks run as soon as it closes
        with suppress(TimeoutError):
            answered_within(0, stuck.close)
        self._client = Consumer(self._config)
        if self._listener is not None:
            lost, self._held = sorted(self._held), set()
            self._listener.partitions_lost(lost)
            self.join(self._listener)

    def _assigned(self, client: Consumer, listener: GroupListener, partitions: list[TopicPartition]) -> None:
        assign = client.incremental_assign if self._incremental else client.assign
        if client in self._left_behind:  # by a `close` that is not waited for: nobody is there to read these
            assign([])
            return
        self._held |= {partition.partition for partition in partitions}
        # A callback that raises leaves the client to assign at Kafka's own offsets: it must not happen.
        starts = listener.partitions_assigned([partition.partition for partition in partitions])
        # Never at a logical offset such as OFFSET_END: while the client asks the broker where that is, a seek is undone
        # by its asking once more and going there, past all that is in between (librdkafka #2256, seen with 2.16).
        positions = [self._at(partition, start) for partition, start in starts.items()]
        # Paused before they are assigned, so that nothing is fetched where there may be nothing. The client passes over
        # a pause of what it does not know yet; to ask it for a position makes it known.
        client.position(positions)
        self.pause(partition for partition, start in starts.items() if start.paused)
        assign(positions)
        # Paused before it was lost, a partition is still paused when it comes back: for the client that is its state.
        self.resume(partition for partition, start in starts.items() if not start.paused)

    def _taken(self, client: Consumer, tell: Callable[[Sequence[int]], None], partitions: list[TopicPartition]) -> None:
        if client not in self._left_behind:  # else by a `close` that is not waited for: the listener has gone on
            self._held -= {partition.partition for partition in partitions}
            tell([partition.partition for partition in partitions])
        if self._incremental:
            client.incremental_unassign(partitions)
        else:
            client.unassign()

    def _check(self, error: ClientError, partition: int = 0, offset: int = 0) -> None:
        match error.code():
            case ClientError._AUTO_OFFSET_RESET | ClientError._LOG_TRUNCATION:
                raise self._not_available(partition, offset, error.str())
            case unreadable if unreadable in _UNREADABLE:
                raise LogUnreadable(topic=self._topic, partition=partition, code=error.name(), reason=error.str())
            case ClientError.UNKNOWN_TOPIC_OR_PART | ClientError._UNKNOWN_TOPIC:
                raise TopicNotFound(self._topic)
            case _ if self._name.concerns(error):
                pass  # `fetch` joins again
            case _ if error.fatal() or error.code() in (
                ClientError._FATAL,  # how an error that ended the client is told to a poll; its own fatal() is false
                ClientError.TOPIC_AUTHORIZATION_FAILED,
                ClientError.GROUP_AUTHORIZATION_FAILED,
            ):
                raise RequestRefused(request=f"consume {self._topic}", code=error.name(), reason=error.str())
            case _:
                log.warning("kafka_error", code=error.name(), reason=error.str())

    def _not_available(self, partition: int, wanted: int, reason: str) -> OffsetNotAvailable:
        try:
            self.check_topic()  # in a topic made anew it is no wonder, and no offset would mend it
            there = self._watermarks(partition)
        except BrokerUnavailable:
            there = None
        return OffsetNotAvailable(topic=self._topic, partition=partition, wanted=wanted, there=there, reason=reason)

    def _watermarks(self, partition: int) -> tuple[int, int]:
        place, deadline = TopicPartition(self._topic, partition), time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                first, end = self._client.get_watermark_offsets(place, _ANSWER_SECONDS)
            except KafkaException as error:
                # The client repeats this after a time-out only, and a leader that has just changed is no outage.
                if error.args[0].code() not in _LEADER_MOVES or time.monotonic() >= deadline:
                    raise self._unavailable(error.args[0]) from error
                time.sleep(_LEADER_MOVES_WAIT)
            else:
                return int(first), int(end)

    def _unanswered(self, request: str, error: ClientError) -> KafkaError:
        if error.code() in REFUSED:
            return RequestRefused(request=request, code=error.name(), reason=error.str())
        return self._unavailable(error)

    def _unavailable(self, error: ClientError) -> BrokerUnavailable:
        reason = self._last_error.reason or error.str()
        servers = client_config()["bootstrap.servers"]
        return BrokerUnavailable(servers=servers, timeout=_ANSWER_SECONDS, reason=reason)

    def _commits(self, commits: Mapping[int, Commit]) -> list[TopicPartition]:
        return told(commits, topic=self._topic, topic_id=self._topic_id)

    def _positions(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    def _at(self, partition: int, start: Start) -> TopicPartition:
        leader_epoch = UNKNOWN_EPOCH if start.leader_epoch is None else start.leader_epoch
        return TopicPartition(self._topic, partition, start.offset, leader_epoch=leader_epoch)

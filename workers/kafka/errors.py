"""What can go wrong between us and a Kafka cluster, named for the fact; the message says how to mend it."""


class KafkaError(Exception):
    """The root of everything that workers.kafka raises on purpose."""


class BrokerUnavailable(KafkaError):
    """No broker answered in time."""

    def __init__(self, *, servers: str, timeout: float, reason: str = "") -> None:
        because = f" The client's last words: {reason}." if reason else ""
        super().__init__(
            f"No Kafka broker at {servers} answered within {timeout:g} s.{because} "
            "Check that Kafka runs there and that KAFKA_BOOTSTRAP_SERVERS (and any KAFKA_CONFIG_…) is right."
        )
        self.servers = servers
        self.reason = reason


class TopicNotFound(KafkaError):
    """The cluster has no topic of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The Kafka cluster has no topic {name!r}. `manage.py create_topics` creates the topics of the settings."
        )
        self.name = name


class RequestRefused(KafkaError):
    """A broker answered, with an error: no permission, an invalid name, a policy, …"""

    def __init__(self, *, request: str, code: str, reason: str) -> None:
        super().__init__(f"Kafka refused to {request}: {reason} ({code}).")
        self.code = code


class TransactionFailed(KafkaError):
    """Kafka gave a transaction up: nothing of it is visible, or all; to send the same once more is safe."""

    def __init__(self, *, topic: str, code: str, reason: str) -> None:
        super().__init__(f"A transaction on {topic} failed: {reason} ({code}).")
        self.code = code


class ProducerFenced(KafkaError):
    """Another producer has taken this one's transactional.id over: nothing that was not committed will ever be."""

    def __init__(self, transactional_id: str) -> None:
        super().__init__(f"Another process took over the transactional.id {transactional_id!r} in Kafka.")
        self.transactional_id = transactional_id


class InvalidClientConfig(KafkaError):
    """librdkafka does not take one of the settings."""

    def __init__(self, reason: str) -> None:
        example = "KAFKA_CONFIG_SASL_MECHANISM, for example, sets sasl.mechanism"
        super().__init__(f"{reason}. Check the KAFKA_CONFIG_… variables: {example}.")


class OffsetNotAvailable(KafkaError):
    """The position where a group must go on is not in the partition any more, or not yet.

    `there` are the first offset that the partition still has and the one that its next message will get, where known.
    """

    def __init__(
        self, *, topic: str, partition: int, wanted: int, there: tuple[int, int] | None, reason: str = ""
    ) -> None:
        because = f" Kafka says: {reason}." if reason else ""
        super().__init__(
            f"The group's next message, offset {wanted} of partition {partition}, is not in the topic {topic!r}"
            f"{'' if there is None else _what_there_is(wanted, *there)}.{because} Nothing is skipped without a word: "
            "decide where the group goes on, and say so with `manage.py move_offsets`."
        )
        self.partition = partition
        self.wanted = wanted


class LogUnreadable(KafkaError):
    """What a partition has next is not as it was written, or not in a form that this client knows."""

    def __init__(self, *, topic: str, partition: int | None, code: str, reason: str) -> None:
        super().__init__(
            f"Partition {partition} of the topic {topic!r} cannot be read on: {reason} ({code}). What comes before is "
            "applied first (`manage.py lag` shows how far), nothing is skipped: look at the disk of the partition's "
            "leader and at its other replicas; where none has the messages as they were, decide where the group goes "
            "on, and say so with `manage.py move_offsets`."
        )
        self.partition = partition
        self.code = code


class TopicMadeAnew(KafkaError):
    """The topic was deleted and created again under its name: its offsets mean other messages now."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The topic {name!r} was made anew while it was read. Nothing of the new one was applied to the old one's "
            "positions. Start again to read the new topic, from its earliest message on."
        )
        self.name = name


class InstanceFenced(KafkaError):
    """Another member of the group has our static membership's name.

    It has taken it from us or, where `waited` seconds are given, has not given it back in that time.
    """

    def __init__(self, *, group: str, instance: str, waited: float | None = None) -> None:
        what = f"Another process has joined the group {group!r} as {instance!r} and takes this one's place."
        if waited is not None:
            what = (
                f"Another member of the group {group!r} has the name {instance!r}, and still had it after "
                f"{waited:.0f} s. If it was killed, its session lasts longer than that: start again later."
            )
        super().__init__(
            f"{what} Each process of a group needs a --group-instance-id (KAFKA_CONFIG_GROUP_INSTANCE_ID) of its own."
        )


def _what_there_is(wanted: int, first: int, end: int) -> str:
    if wanted < first:
        return (
            f", which has {first} to {end - 1}: what came before was deleted unread"
            if first < end
            else (f", which is empty up to {end}: what it had was deleted unread")
        )
    return f", which ends at {end}: it has lost its end, or was made anew"

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


class InvalidClientConfig(KafkaError):
    """librdkafka does not take one of the settings."""

    def __init__(self, reason: str) -> None:
        example = "KAFKA_CONFIG_SASL_MECHANISM, for example, sets sasl.mechanism"
        super().__init__(f"{reason}. Check the KAFKA_CONFIG_… variables: {example}.")


class OffsetNotAvailable(KafkaError):
    """The position where a group must go on is not in the topic any more, or not yet."""

    def __init__(self, *, topic: str, reason: str) -> None:
        super().__init__(
            f"The group's next message is not in the topic {topic!r}: {reason}. Messages were deleted before they "
            "were read, or the topic lost its end. Nothing is skipped without a word: decide where to go on."
        )

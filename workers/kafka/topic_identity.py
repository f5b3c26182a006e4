"""Whether a topic is still the one that it was: Kafka's client follows a name, also to a topic made anew under it.

It reads on in the new topic from the offset where it was in the old one, and says nothing (librdkafka 2.16).
"""

import time
from concurrent.futures import TimeoutError as OutOfTime

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from workers.kafka.client import LastError, client_config, configuring
from workers.kafka.errors import BrokerUnavailable, TopicMadeAnew, TopicNotFound

_ANSWER_SECONDS = 5.0
# A broker that has just started may not know its topics yet.
_LOOKS = 3
_BETWEEN_LOOKS = 1.0


class TopicIdentity:
    """Looks the topic's id up, over a connection of its own; may be asked from any one thread."""

    def __init__(self, *, topic: str, topic_id: str) -> None:
        self.unanswered: str | None = None
        """Why the last `check` had no answer; None when it had one."""
        self._topic, self._topic_id = topic, topic_id
        self._last_error = LastError()
        with configuring():
            self._client = AdminClient(client_config(error_cb=self._last_error))

    def check(self) -> None:
        """Returns when the topic has its id: all that was fetched before this call came from it.

        Raises TopicMadeAnew, TopicNotFound (after 2 s without it) or BrokerUnavailable (nobody answered within 5 s).
        """
        for look in range(_LOOKS):
            found = self._found_id()
            if found is not None:
                break
            if look + 1 == _LOOKS:
                raise TopicNotFound(self._topic)
            time.sleep(_BETWEEN_LOOKS)
        if found != self._topic_id:
            raise TopicMadeAnew(self._topic)

    def _found_id(self) -> str | None:
        asked = self._client.describe_topics(TopicCollection([self._topic]), request_timeout=_ANSWER_SECONDS)
        try:
            found: str | None = str(asked[self._topic].result(_ANSWER_SECONDS + 1.0).topic_id)
        except OutOfTime:
            raise self._unavailable("no answer") from None
        except KafkaException as failed:
            if failed.args[0].code() != ClientError.UNKNOWN_TOPIC_OR_PART:
                raise self._unavailable(failed.args[0].str()) from None
            found = None
        finally:
            self._client.poll(0)  # the client's errors and log lines come out of this only
        self.unanswered = None
        return found

    def _unavailable(self, reason: str) -> BrokerUnavailable:
        servers = client_config()["bootstrap.servers"]
        error = BrokerUnavailable(servers=servers, timeout=_ANSWER_SECONDS, reason=self._last_error.reason or reason)
        self.unanswered = str(error)
        return error

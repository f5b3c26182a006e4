"""Whether a static member has its name to itself, and how long it waits for it: a killed one's session keeps it."""

import time
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError as ClientError

from workers.kafka.errors import InstanceFenced

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
# Brokers end a session after group.consumer.session.timeout.ms, 45 s, and allow no group more than
# group.consumer.max.session.timeout.ms, 60 s, if they are not told otherwise.
_LONGEST_SESSION = 60.0
# What was refused longer ago was another wait: an attempt takes a pause and the broker's answer.
_ANOTHER_WAIT_AFTER = 30.0
# An error that ended the client has the code _FATAL, and only its words tell which one it was.
_IN_USE = ClientError(ClientError.UNRELEASED_INSTANCE_ID).str()
_TAKEN_AWAY = "same group.instance.id"


class InstanceName:
    """The name (group.instance.id) of one static member.

    The classic group protocol gives a name to whoever joins last, and fences the one that had it. With the `consumer`
    protocol whoever has it keeps it, and the later one is refused until the other has left or its session is over.
    """

    def __init__(self, *, group: str, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self.is_refused = False
        """Whether Kafka has refused the name, and joining again has not been tried since."""
        self._group, self._instance = group, instance
        self._clock = clock
        self._began = self._refused_at = float("-inf")
        self._pause = 0.0

    def concerns(self, error: ClientError) -> bool:
        """Whether the error says that the name is in use: then joining again helps, with another client, in a while.

        Raises InstanceFenced when the name was taken away, or was in use for 60 s already.
        """
        code, reason = error.code(), error.str()
        if code == ClientError.FENCED_INSTANCE_ID or (code == ClientError._FATAL and _TAKEN_AWAY in reason):
            raise InstanceFenced(group=self._group, instance=self._instance)
        if code == ClientError.UNRELEASED_INSTANCE_ID or (code == ClientError._FATAL and _IN_USE in reason):
            self._refused()
            return True
        return False

    def may_join(self, timeout: float) -> bool:
        """Whether it is time to join again; sleeps for up to `timeout` seconds if not."""
        left = self._refused_at + self._pause - self._clock()
        if left > 0:
            time.sleep(min(left, timeout))
            return False
        self.is_refused = False
        return True

    def _refused(self) -> None:
        if self.is_refused:  # said twice
            return
        now = self._clock()
        if now - self._refused_at > _ANOTHER_WAIT_AFTER:
            self._began, self._pause = now, _FIRST_PAUSE
            self._say_what_for()
        elif now - self._began > _LONGEST_SESSION:
            raise InstanceFenced(group=self._group, instance=self._instance, waited=now - self._began)
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._refused_at, self.is_refused = now, True

    def _say_what_for(self) -> None:
        log.warning(
            "instance_name_in_use",
            group=self._group,
            instance=self._instance,
            waiting_for="another member with this name: it leaves, or was killed and its session ends "
            "(the broker's group.consumer.session.timeout.ms, 45 s by default)",
            at_most_seconds=_LONGEST_SESSION,
        )

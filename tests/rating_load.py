"""Rating events on a real topic, and what must be in the tables when a group has read them."""

import json
import random
from typing import Any

from confluent_kafka import Producer

from tests.fixtures.processes import ManagedProcess
from tests.rating_tables import assert_consistent, standing
from tests.waiting import wait_until
from workers.ingestion.models import ConsumerOffset, DeadLetter

POISON = b"no json"


class RatingLoad:
    """Sends puts, deletes and poison to a topic, each rating always to one partition, and remembers what must stand."""

    def __init__(self, servers: str, topic: str, *, partitions: int, seed: int = 1) -> None:
        self.topic = topic
        self.partitions = partitions
        self.sent = 0
        self.poison = 0
        self.expected: dict[tuple[str, str], int | None] = {}
        self._random = random.Random(seed)
        # One that is not idempotent changes the order when it repeats, as for a leader that is not there yet.
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "enable.idempotence": True})

    def send(self, count: int, *, users: int = 500, records: int = 40) -> None:
        """Sends so many messages, one in fifty of them poison, and returns when all are acknowledged."""
        for _ in range(count):
            record, user = str(self._random.randrange(records)), str(self._random.randrange(users))
            self._producer.poll(0)
            self._producer.produce(self.topic, self._value(record, user), partition=int(record) % self.partitions)
        assert self._producer.flush(60) == 0
        self.sent += count

    def _value(self, record: str, user: str) -> bytes:
        if self._random.random() < 0.02:
            self.poison += 1
            return POISON
        event: dict[str, Any] = {"recordId": record, "recordType": "movie", "userId": user, "eventType": "put"}
        tenths = self._random.randrange(101)
        if self._random.random() < 0.1:
            event["eventType"], self.expected[record, user] = "delete", None
        else:
            event["ratingValue"], self.expected[record, user] = tenths / 10, tenths
        return json.dumps(event).encode()

    def assert_in_the_tables(self) -> None:
        """Every rating as last sent, aggregates equal to them, each poison message one dead letter, tried once."""
        found = {(key[1], key[3]): rating.tenths for key, rating in standing("movie").items()}
        assert found == self.expected
        assert_consistent()
        attempts = list(DeadLetter.objects.filter(topic=self.topic).values_list("attempts", flat=True))
        assert attempts == [1] * self.poison

    def position(self) -> int:
        """How many messages the group has passed, in all partitions."""
        return sum(positions(self.topic).values())

    def wait_until_read(self, timeout: float = 60) -> None:
        """Until the group has passed all that was sent."""
        wait_until(
            lambda: self.position() >= self.sent,
            timeout,
            message=lambda: f"{self.position()} of {self.sent} read",
        )


def positions(topic: str, group: str | None = None) -> dict[int, int]:
    """The next offsets of the group, or of the only one that has read the topic, as the database has them."""
    rows = ConsumerOffset.objects.filter(topic=topic, **({"group": group} if group else {}))
    return dict(rows.values_list("partition", "next_offset"))


def epochs(topic: str) -> dict[int, int]:
    """How often each partition was taken over."""
    return dict(ConsumerOffset.objects.filter(topic=topic).values_list("partition", "epoch"))


def owned(process: ManagedProcess) -> set[int]:
    """The partitions that a running `consume_ratings` has by what it has logged."""
    found: set[int] = set()
    for line in process.output().splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if entry["event"] == "partitions_assigned":
            found |= set(entry["partitions"])
        elif entry["event"] in ("partitions_revoked", "partitions_lost"):
            found -= set(entry["partitions"])
    return found

"""Rating events with times of their own, late, repeated and spread, and the tables in which they must end."""

import json
import random
import time
from typing import Any

from confluent_kafka import Producer

from tests.rating_load import POISON
from tests.rating_tables import aggregates, assert_consistent, new_type, rows, standing

Key = tuple[str, str]
_EARLIER_MS = 6 * 3_600_000
_POISON_SHARE, _DUPLICATE_SHARE, _AWAY_SHARE, _DELETE_SHARE, _AHEAD_SHARE = 0.02, 0.08, 0.2, 0.1, 0.002
_AHEAD_MS = 60_000
_LETTERS = 'SELECT partition, "offset", value, timestamp, attempts FROM ingestion_deadletter WHERE topic = %s'
_SKIPPED = "SELECT coalesce(sum(skipped), 0) FROM ingestion_consumeroffset WHERE topic = %s"


class TimedLoad:
    """Sends to a topic with CreateTime and works out, message by message, what must stand in the end.

    Puts, deletes and poison; one in five goes to another partition than the rest of its record; one in twelve is an
    earlier message once more; one in five hundred is ahead of its time, and lifts what follows in its partition. Every
    new message has a millisecond of its own, so that no two partitions tie and the tables do not depend on who reads
    what first. With `once` each event has a rating of its own instead, in order.
    """

    def __init__(self, servers: str, topic: str, *, partitions: int, seed: int, once: bool = False) -> None:
        self.topic = topic
        self.record_type = new_type()
        self.sent = 0
        self.expected: dict[Key, tuple[int | None, int]] = {}
        self.letters: dict[tuple[int, int], int] = {}
        """Time in microseconds of each poison message, by partition and offset."""
        self._once = once
        self._ends = [0] * partitions
        self._latest = [0] * partitions
        self._time = int(time.time() * 1000) - _EARLIER_MS
        self._earlier: list[tuple[Key, int | None, int, int]] = []
        self._ahead: set[int] = set()
        self._random = random.Random(seed)
        settings = {"bootstrap.servers": servers, "linger.ms": 5, "enable.idempotence": True}
        self._producer = Producer({**settings, "reconnect.backoff.max.ms": 500, "log_level": 2})

    def send(self, count: int) -> None:
        """Sends so many messages and returns when all are acknowledged."""
        for _ in range(count):
            self._send_one()
            self._producer.poll(0)
        assert self._producer.flush(90) == 0
        self.sent += count

    def _send_one(self) -> None:
        self._time += 2
        assert self._time + 2 * _AHEAD_MS < time.time() * 1000, "the load has run out of times in the past"
        if self._random.random() < _POISON_SHARE:
            partition = self._random.randrange(len(self._ends))
            offset, moment = self._produce(partition, POISON, self._time)
            self.letters[partition, offset] = moment
        elif self._earlier and self._random.random() < _DUPLICATE_SHARE:
            self._put(*self._random.choice(self._earlier))
        else:
            self._put(*self._new_event())

    def _new_event(self) -> tuple[Key, int | None, int, int]:
        record = self._random.randrange(40)
        user = self._time if self._once else self._random.randrange(500)
        tenths = None if self._random.random() < _DELETE_SHARE else self._random.randrange(101)
        away = not self._once and self._random.random() < _AWAY_SHARE
        partition = (self._random.randrange(len(self._ends)) if away else record) % len(self._ends)
        sent_at = self._time
        if not self._once and self._random.random() < _AHEAD_SHARE:
            sent_at += self._random.randrange(1, _AHEAD_MS, 2)  # odd, as no other is but one that is ahead too
            while sent_at in self._ahead:
                sent_at += 2
            self._ahead.add(sent_at)
        event = (str(record), str(user)), tenths, sent_at, partition
        if not self._once:
            self._remember(event)
        return event

    def _remember(self, event: tuple[Key, int | None, int, int]) -> None:
        if len(self._earlier) < 300:
            self._earlier.append(event)
        else:
            self._earlier[self._random.randrange(300)] = event

    def _put(self, key: Key, tenths: int | None, sent_at: int, partition: int) -> None:
        if sent_at < self._latest[partition] and self._random.random() < 0.5:
            # Elsewhere only where it is late too: it takes that partition's time, and ties with nobody.
            others = [other for other, latest in enumerate(self._latest) if latest > sent_at]
            partition = self._random.choice(others)
        _, moment = self._produce(partition, self._value(key, tenths), sent_at)
        if key not in self.expected or self.expected[key][1] <= moment:
            self.expected[key] = tenths, moment

    def _produce(self, partition: int, value: bytes, sent_at: int) -> tuple[int, int]:
        """The message's offset, and the time that counts, in microseconds: it never goes back within a partition."""
        self._producer.produce(self.topic, value, partition=partition, timestamp=sent_at)
        offset = self._ends[partition]
        self._ends[partition] += 1
        self._latest[partition] = max(self._latest[partition], sent_at)
        return offset, self._latest[partition] * 1000

    def _value(self, key: Key, tenths: int | None) -> bytes:
        event: dict[str, Any] = {"recordId": key[0], "recordType": self.record_type, "userId": key[1]}
        event["eventType"] = "delete" if tenths is None else "put"
        if tenths is not None:
            event["ratingValue"] = tenths / 10
        return json.dumps(event).encode()

    # --- What stands ------------------------------------------------------------------------------------------------

    def assert_ratings(self) -> None:
        """Every rating, tombstone and time, and every aggregate, exactly as the events say."""
        found = {
            (key[1], key[3]): (rating.tenths, rating.written_at) for key, rating in standing(self.record_type).items()
        }
        wrong = {key: (found.get(key), self.expected.get(key)) for key in found.keys() | self.expected.keys()}
        wrong = {key: pair for key, pair in wrong.items() if pair[0] != pair[1]}
        assert not wrong, f"{len(wrong)} of {len(self.expected)} are wrong, as (found, expected): {_some(wrong)}"
        self._assert_aggregates(found)

    def assert_letters(self, *, repeated: bool = False) -> None:
        """Each poison message is one dead letter with its own time, and was met once unless it may be `repeated`."""
        found = self._found_letters()
        assert {place: moment for place, (moment, _) in found.items()} == self.letters
        if not repeated:
            assert {attempts for _, attempts in found.values()} <= {1}

    def assert_each_once_or_skipped(self) -> None:
        """What stands is as it was sent; what does not stand was counted as skipped; no letter was met twice."""
        found = {
            (key[1], key[3]): (rating.tenths, rating.written_at) for key, rating in standing(self.record_type).items()
        }
        assert found.items() <= self.expected.items()
        letters = self._found_letters()
        assert letters.items() <= {place: (moment, 1) for place, moment in self.letters.items()}.items()
        assert len(found) + len(letters) + self.skipped() == self.sent
        self._assert_aggregates(found)

    def skipped(self) -> int:
        """How many messages the group says that it has skipped."""
        return int(rows(_SKIPPED, (self.topic,))[0][0])

    def _assert_aggregates(self, found: dict[Key, tuple[int | None, int]]) -> None:
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for (record, _), (tenths, _) in found.items():
            if tenths is not None:
                count, total = sums.get((self.record_type, record), (0, 0))
                sums[self.record_type, record] = count + 1, total + tenths
        assert aggregates(self.record_type) == sums
        assert_consistent()

    def _found_letters(self) -> dict[tuple[int, int], tuple[int, int]]:
        found = rows(_LETTERS, (self.topic,))
        assert all(bytes(value) == POISON for _, _, value, _, _ in found)
        return {
            (partition, offset): (round(moment.timestamp() * 1000) * 1000, attempts)
            for partition, offset, _, moment, attempts in found
        }


def _some(wrong: dict[Key, Any]) -> dict[Key, Any]:
    return dict(list(wrong.items())[:5])

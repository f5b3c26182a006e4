"""Rating events to measure with: seeded, skewed as popularity is, and what must stand once they are all applied."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RECORDS = 20_000
USERS = 200_000
PARTITIONS = 12
PROVIDER = "bench"
RECORD_TYPE = "movie"
DELETE = -1
_SKEW = 1.2
_USER_BITS = 32
_VALUES = [str(tenths // 10) if tenths % 10 == 0 else str(tenths / 10) for tenths in range(101)]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Events:
    """One element per event, in the order of sending; `tenths` is DELETE for a delete.

    The last PARTITIONS of a stream are its ends: each on a record of its own, to be sent to the partition
    `record - RECORDS` when all others have arrived. Who has applied them all has applied everything.
    """

    records: Int64s
    users: Int64s
    tenths: Int64s

    def __len__(self) -> int:
        return len(self.records)

    @property
    def keys(self) -> Int64s:
        """The rating of each event: the record's number in the upper 32 bits, the user's in the lower."""
        keys: Int64s = (self.records << _USER_BITS) | self.users
        return keys

    def standing(self) -> "Events":
        """The last event of each rating, in the order of keys."""
        _, from_behind = np.unique(self.keys[::-1], return_index=True)
        return self.at(len(self) - 1 - from_behind)

    def at(self, places: Int64s) -> "Events":
        """The events at these places."""
        return Events(self.records[places], self.users[places], self.tenths[places])

    def then(self, later: "Events") -> "Events":
        """These, and after them those."""
        return Events(
            np.concatenate([self.records, later.records]),
            np.concatenate([self.users, later.users]),
            np.concatenate([self.tenths, later.tenths]),
        )

    def payloads(self, batch: int) -> Iterator[list[bytes]]:
        """The events as messages carry them, so many at a time."""
        for first in range(0, len(self), batch):
            part = slice(first, first + batch)
            rows = zip(self.records[part].tolist(), self.users[part].tolist(), self.tenths[part].tolist(), strict=True)
            yield [_payload(record, user, tenths) for record, user, tenths in rows]


def stream(count: int, *, deletes: float, seed: int) -> Events:
    """`count` events, `deletes` of them (a share) deletes, its ends included; the same arguments give the same."""
    random = np.random.default_rng(seed)
    body = _drawn(random, count - PARTITIONS)
    body.tenths[random.random(len(body)) < deletes] = DELETE
    ends = np.arange(PARTITIONS, dtype=np.int64)
    return body.then(Events(RECORDS + ends, ends, np.full(PARTITIONS, 100, dtype=np.int64)))


def distinct_ratings(count: int, *, seed: int) -> Events:
    """Puts of `count` different ratings, of the same popularity and in random order: a table's past."""
    random = np.random.default_rng(seed)
    keys = np.unique(_drawn(random, count).keys)
    while len(keys) < count:
        keys = np.unique(np.concatenate([keys, _drawn(random, count).keys]))
    keys = random.permutation(keys)[:count]
    return Events(keys >> _USER_BITS, keys & (2**_USER_BITS - 1), random.integers(0, 101, count))


def _drawn(random: np.random.Generator, count: int) -> Events:
    return Events(
        random.zipf(_SKEW, count).astype(np.int64) % RECORDS,
        random.integers(0, USERS, count),
        random.integers(0, 101, count),
    )


def _payload(record: int, user: int, tenths: int) -> bytes:
    start = f'{{"recordId":"{record}","recordType":"{RECORD_TYPE}","userId":"{user}","providerId":"{PROVIDER}",'
    if tenths == DELETE:
        return (start + '"eventType":"delete"}').encode()
    return f'{start}"ratingValue":{_VALUES[tenths]},"eventType":"put"}}'.encode()

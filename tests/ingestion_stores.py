"""Stores of both kinds, a look into what they wrote, and batches to give them."""

import base64

from ratings.events import RatingEvent
from tests import rating_tables
from workers.ingestion.consuming.batch import Letter, Slice
from workers.ingestion.consuming.memory import InMemoryStore, MemoryTables
from workers.ingestion.consuming.postgres import PostgresStore
from workers.ingestion.delivery import Delivery
from workers.ingestion.models import ConsumerOffset, DeadLetter
from workers.kafka.topics import Topic

TIME = 1_700_000_000_000_000
TOPIC = Topic(name="ratings", topic_id="topic-1", cluster_id="cluster-1", partitions=3)


class MemoryDatabase:
    """Stores on tables in memory, and a look into them."""

    def __init__(self):
        self.tables = MemoryTables()

    def store(self, group="rating", delivery=Delivery.EXACTLY_ONCE):
        return InMemoryStore(self.tables, group=group, delivery=delivery)

    def skipped(self):
        return {key: position.skipped for key, position in self.tables.positions.items()}

    def standing(self):
        return {key[2:]: (rating.tenths, rating.written_at) for key, rating in self.tables.ratings.standing().items()}

    def letters(self):
        return [
            (*key, found.letter.key, found.letter.value, found.letter.headers, found.letter.time, found.attempts)
            for key, found in sorted(self.tables.letters.items())
        ]


class PostgresDatabase:
    """Stores on the test database."""

    def __init__(self):
        self.stores = []

    def store(self, group="rating", topic=TOPIC, delivery=Delivery.EXACTLY_ONCE):
        self.stores.append(PostgresStore(group=group, topic=topic, delivery=delivery))
        return self.stores[-1]

    def skipped(self):
        return {(row.group, row.partition): row.skipped for row in ConsumerOffset.objects.all()}

    def close(self):
        for store in self.stores:
            store.close()

    def standing(self):
        return {key[2:]: (rating.tenths, rating.written_at) for key, rating in rating_tables.standing("movie").items()}

    def letters(self):
        return [
            (
                row.group,
                row.partition,
                row.offset,
                None if row.key is None else bytes(row.key),
                None if row.value is None else bytes(row.value),
                tuple((name, None if value is None else base64.b64decode(value)) for name, value in row.headers),
                rating_tables.microseconds(row.timestamp),
                row.attempts,
            )
            for row in DeadLetter.objects.order_by("group", "partition", "offset")
        ]


def take(store, *partitions, first=0, committed=None):
    return store.take(partitions, first_offset=lambda _: first, committed=committed)


def write(store, batch):
    return store.apply(store.prepare(batch))


def part(claim, users="", *, partition=0, end=None, letters=(), time=TIME):
    """A slice of puts of 5.0 by these users, one offset each, from where the claim stands."""
    events = [RatingEvent("movie", "1", "", user, 50) for user in users]
    size = len(events) + len(letters)
    return Slice(
        partition=partition,
        epoch=claim.epoch,
        start=claim.next_offset,
        end=claim.next_offset + size if end is None else end,
        latest_time=time,
        leader_epoch=7,
        events=events,
        times=[time] * len(events),
        letters=list(letters),
    )


def letter(offset, *, key=b"k", value=b"\x00\xff", headers=(), field="ratingValue", reason="it is wrong"):
    return Letter(offset=offset, key=key, value=value, headers=tuple(headers), time=TIME, field=field, reason=reason)


def raters(database):
    return {key[1] for key in database.standing()}

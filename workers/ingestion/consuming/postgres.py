"""The IngestionStore on Postgres: ratings, dead letters and the position they came from in one transaction."""

import base64
import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import psycopg

from ratings.errors import StaleIds
from ratings.interning import Interner
from ratings.services import interning_share, rating_writes, ratings_write
from workers.ingestion.consuming.batch import Batch, Claim, Letter
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.consuming.offsets import FenceFellShortError, GroupOffsets, moment
from workers.ingestion.consuming.session import Session
from workers.ingestion.consuming.sifting import Sifter
from workers.ingestion.consuming.store import Applied, Prepared
from workers.ingestion.delivery import Delivery
from workers.ingestion.postgres_errors import refusal_of
from workers.kafka.group import Commit
from workers.kafka.topics import Topic

# Letters that stand are locked in the order of their ids first, as whoever replays or discards them does. The condition
# on their count has that done before the first row is inserted.
_DEAD_LETTERS = """
WITH locked AS MATERIALIZED (
    SELECT id FROM ingestion_deadletter WHERE id = ANY(ARRAY(
        SELECT found.id FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[]) AS place (partition, "offset")
        CROSS JOIN LATERAL (
            SELECT id FROM ingestion_deadletter AS letter
            WHERE "group" = %(group)s AND cluster_id = %(cluster_id)s AND topic_id = %(topic_id)s
              AND letter.partition = place.partition AND letter."offset" = place."offset" LIMIT 1
        ) AS found
    )) ORDER BY id FOR UPDATE
)
INSERT INTO ingestion_deadletter AS standing
       ("group", cluster_id, topic_id, topic, partition, "offset", key, value, headers, timestamp, field, reason,
        attempts, created_at)
SELECT %(group)s, %(cluster_id)s, %(topic_id)s, %(topic)s, letter.*, 1, clock_timestamp()
FROM unnest(
    %(partitions)s::int[], %(offsets)s::bigint[], %(keys)b::bytea[], %(values)b::bytea[], %(headers)s::jsonb[],
    %(timestamps)s::timestamptz[], %(fields)s::text[], %(reasons)s::text[]
) AS letter
WHERE (SELECT count(*) FROM locked) >= 0
ON CONFLICT ("group", cluster_id, topic_id, partition, "offset") DO UPDATE SET attempts = standing.attempts + 1
"""


class PostgresStore:
    """An IngestionStore on Django's default database, over two connections that are made anew after they broke.

    One writes batches, the other looks up the ids of the batch that comes next meanwhile.
    """

    def __init__(
        self,
        *,
        group: str,
        topic: Topic,
        delivery: Delivery = Delivery.EXACTLY_ONCE,
        interner: Interner | None = None,
    ) -> None:
        self._identity = {
            "group": group,
            "cluster_id": topic.cluster_id,
            "topic_id": topic.topic_id,
            "topic": topic.name,
        }
        self._offsets = GroupOffsets(self._identity, delivery)
        self._interner = interner or Interner()
        self._writing = Session()
        # The database behind a new connection may be another one, or an older state of it.
        self._interning = Session(on_connect=self._interner.forget)
        self._interning_lock = threading.Lock()

    def begun(self) -> Mapping[int, Delivery]:
        """See IngestionStore.begun."""
        with self._writing.cursor() as cursor:
            return self._offsets.begun(cursor)

    def take(
        self,
        partitions: Collection[int],
        *,
        first_offset: Callable[[int], int],
        committed: Mapping[int, Commit] | None = None,
    ) -> dict[int, Claim]:
        """See IngestionStore.take."""
        with self._writing.cursor() as cursor:
            return self._offsets.take(cursor, partitions, first_offset=first_offset, committed=committed or {})

    def prepare(self, batch: Batch) -> Prepared:
        """See IngestionStore.prepare; interns the ids, in transactions of their own."""
        connects = self._writing.connects
        events = list(chain.from_iterable(part.events for part in batch))
        if not events:
            return Prepared(batch, connects=connects)
        times = list(chain.from_iterable(part.times for part in batch))
        with self._interning_lock, self._interning.cursor() as cursor:
            try:
                return Prepared(batch, rating_writes(cursor, self._interner, events, times), connects)
            except psycopg.Error as error:
                if refusal_of(error) is None:
                    raise
                return Prepared(batch, connects=connects, is_refused=True)

    def apply(self, prepared: Prepared, *, allowance: Allowance | None = None) -> Applied:
        """See IngestionStore.apply; what was prepared for an older state of the ids is prepared again."""
        with self._writing.cursor() as cursor:
            while True:
                if prepared.connects != self._writing.connects:
                    prepared = self._prepare_anew(prepared.batch)
                try:
                    if prepared.is_refused:
                        return self._apply_sifted(cursor, prepared.batch, allowance)
                    return self._apply(cursor, prepared)
                except StaleIds:
                    prepared = self._prepare_anew(prepared.batch)
                except FenceFellShortError:
                    rest = self._offsets.not_yet_applied(cursor, prepared.batch)
                    if not rest:
                        return Applied()
                    prepared = self.prepare(rest)
                except psycopg.Error as error:
                    if prepared.is_refused or refusal_of(error) is None:
                        raise
                    prepared = replace(prepared, is_refused=True)

    def try_out(self, batch: Batch, *, allowance: Allowance | None = None) -> None:
        """See IngestionStore.try_out; `accepted` has every rating that is left written and undone."""
        with self._writing.cursor() as cursor:
            while True:
                most = allowance or Allowance.unlimited(batch.messages)
                sifter = Sifter(cursor, most, go_on=self._writing.check_wanted)
                try:
                    accepted = sifter.accepted(sifter.interned(batch))
                    break
                except StaleIds:
                    continue  # with ids that are looked up again
            with cursor.connection.transaction(force_rollback=True):
                self._keep_letters(cursor, accepted)

    def positions(self) -> Mapping[int, int]:
        """See IngestionStore.positions."""
        with self._writing.cursor() as cursor:
            return self._offsets.positions(cursor)

    def epochs(self) -> Mapping[int, int]:
        """See IngestionStore.epochs."""
        with self._writing.cursor() as cursor:
            return self._offsets.epochs(cursor)

    def silent_for(self) -> float:
        """See IngestionStore.silent_for."""
        return max(self._writing.silent_for(), self._interning.silent_for())

    def end_within(self, seconds: float) -> None:
        """See IngestionStore.end_within."""
        self._writing.end_within(seconds)
        self._interning.end_within(seconds)

    def close(self) -> None:
        """Closes the connections; an open transaction is rolled back."""
        self._writing.close()
        self._interning.close()

    def _prepare_anew(self, batch: Batch) -> Prepared:
        """With nothing remembered, over a new connection."""
        with self._interning_lock:
            self._interning.close()
        return self.prepare(batch)

    def _apply(self, cursor: psycopg.Cursor[Any], prepared: Prepared) -> Applied:
        with cursor.connection.transaction():
            skipped = self._begin(cursor, prepared.batch)
            self._keep_letters(cursor, prepared.batch)
            if prepared.writes is not None:
                ratings_write(cursor, prepared.writes)
        return Applied(skipped=skipped)

    def _apply_sifted(self, cursor: psycopg.Cursor[Any], batch: Batch, allowance: Allowance | None) -> Applied:
        """As `_apply`, for a batch of which something is refused; what that is becomes dead letters with the rest.

        However long it is looked for, no lock is held for longer than a trial, and a new owner of a partition need not
        wait: the search ends when it is fenced off.
        """

        def go_on() -> None:
            self._writing.check_wanted()
            with cursor.connection.transaction(force_rollback=True):
                self._begin(cursor, batch)

        sifter = Sifter(cursor, allowance or Allowance.unlimited(batch.messages), go_on=go_on)
        accepted = sifter.accepted(sifter.interned(batch))
        with cursor.connection.transaction():
            skipped = self._begin(cursor, batch)
            self._keep_letters(cursor, accepted)
            ratings_write(cursor, sifter.writes(accepted))
        return Applied(skipped=skipped, refused=accepted.letters - batch.letters)

    def _begin(self, cursor: psycopg.Cursor[Any], batch: Batch) -> int:
        """Takes the first two locks of the order that keeps all writers out of each other's way, and moves the offsets.

        The order: the one that an erasure wants alone, offsets, dead letters, ratings, aggregates. Returns how many
        offsets were skipped. Raises FenceFellShortError or Fenced.
        """
        interning_share(cursor)
        return self._offsets.advance(cursor, batch)

    def _keep_letters(self, cursor: psycopg.Cursor[Any], batch: Batch) -> None:
        letters = [(part.partition, letter) for part in batch for letter in part.letters]
        if letters:
            cursor.execute(_DEAD_LETTERS, {**self._identity, **_letter_columns(letters)})


def _letter_columns(letters: Sequence[tuple[int, Letter]]) -> dict[str, object]:
    return {
        "partitions": [partition for partition, _ in letters],
        "offsets": [letter.offset for _, letter in letters],
        "keys": [letter.key for _, letter in letters],
        "values": [letter.value for _, letter in letters],
        "headers": [_json_of(letter.headers) for _, letter in letters],
        "timestamps": [moment(letter.time) for _, letter in letters],
        "fields": [letter.field for _, letter in letters],
        "reasons": [letter.reason for _, letter in letters],
    }


def _json_of(headers: Iterable[tuple[str, bytes | None]]) -> str:
    return json.dumps([[_storable(name), _base64(value)] for name, value in headers])


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _storable(name: str) -> str:
    """A header's name without what a JSON text in Postgres cannot hold."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")

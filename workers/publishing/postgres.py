"""The ShardStore on Postgres: a session's advisory lock, which ends with the session, and the table of changes.

The lock, the reads and the deletes share one connection, so that whatever succeeds was done under the lock.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog

from ratings.changes import ChangedAggregate, Shard, changes_count, changes_read, changes_take_off, mark_next
from ratings.services import interning_share
from workers.database import connect
from workers.ingestion.errors import StoreNotReady
from workers.ingestion.postgres_errors import store_error
from workers.kafka.topics import Topic
from workers.publishing.errors import DatabaseNotReady, ShardLost
from workers.publishing.store import Fence, NotYet

log = structlog.get_logger(__name__)

_MARKED_AT_ONCE = 20_000

_KEY = "hashtextextended(%(name)s, 0)"
_TRY = f"SELECT pg_try_advisory_lock({_KEY})"
_UNLOCK = f"SELECT pg_advisory_unlock({_KEY})"
_TRY_SHARED = f"SELECT pg_try_advisory_lock_shared({_KEY})"
_UNLOCK_SHARED = f"SELECT pg_advisory_unlock_shared({_KEY})"
_HOLDERS = f"""
SELECT coalesce(nullif(activity.application_name, ''), '?') || ' (session ' || lock.pid || ')'
FROM pg_locks AS lock LEFT JOIN pg_stat_activity AS activity USING (pid)
WHERE lock.locktype = 'advisory' AND lock.objsubid = 1 AND lock.granted AND lock.pid <> pg_backend_pid()
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (lock.classid::bigint << 32 | lock.objid::bigint) = {_KEY}
ORDER BY lock.pid LIMIT 3
"""
_KNOWN = """
SELECT topic_id, shards FROM publishing_publishedtopic WHERE cluster_id = %(cluster_id)s AND topic = %(topic)s
"""
_REMEMBER = """
INSERT INTO publishing_publishedtopic (cluster_id, topic, topic_id, shards)
VALUES (%(cluster_id)s, %(topic)s, %(topic_id)s, %(shards)s)
ON CONFLICT (cluster_id, topic) DO UPDATE SET topic_id = excluded.topic_id, shards = excluded.shards
"""


class PostgresShardStore:
    """A ShardStore on Django's default database, over one connection.

    The server ends a session that is silent for `silence` seconds, so that a publisher which hangs, or whose machine
    is gone, keeps its shard no longer than that.
    """

    def __init__(self, *, shard: Shard, silence: float) -> None:
        self._shard = shard
        self._silence = silence
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._has_connected = False
        self._marked: int | None = None  # up to which record, while this process fills the topic

    def take(self, topic: Topic, *, fence: Fence) -> NotYet | None:
        """See ShardStore.take."""
        layout = f"publish_aggregates {topic.cluster_id} {topic.name}"
        with self._cursor(connecting=True) as cursor:
            if self._marked is not None:
                return self._fill(cursor, topic, layout)
            # Shared by all publishers of the topic, so that none begins or goes on while its shards are counted anew.
            if not _is_true(cursor, _TRY_SHARED, layout):
                return NotYet(f"the topic is being filled by {_holders(cursor, layout)}", is_anothers=True)
            if self._known(cursor, topic) == (topic.topic_id, self._shard.count):
                shard = f"{layout} {self._shard.number}"
                if _is_true(cursor, _TRY, shard):
                    return None
                holders = _holders(cursor, shard)
                _is_true(cursor, _UNLOCK_SHARED, layout)
                return NotYet(f"shard {self._shard} is published by {holders}", is_anothers=True)
            _is_true(cursor, _UNLOCK_SHARED, layout)
            return self._begin(cursor, topic, layout, fence)

    def check(self) -> None:
        """See ShardStore.check."""
        with self._cursor() as cursor:
            cursor.execute("SELECT 1")

    def read(self, *, after: int, most: int) -> list[ChangedAggregate]:
        """See ShardStore.read."""
        with self._cursor() as cursor:
            return changes_read(cursor, shard=self._shard, after=after, most=most)

    def take_off(self, published: Sequence[ChangedAggregate]) -> None:
        """See ShardStore.take_off."""
        with self._cursor() as cursor:
            changes_take_off(cursor, published)

    def left(self, *, most: int) -> int:
        """See ShardStore.left."""
        with self._cursor() as cursor:
            return changes_count(cursor, shard=self._shard, most=most)

    def release(self) -> None:
        """See ShardStore.release."""
        self._marked = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin(self, cursor: psycopg.Cursor[Any], topic: Topic, layout: str, fence: Fence) -> NotYet:
        """Keeps all other publishers of the topic out, ends the right of those before, and sees whether to fill it."""
        if not _is_true(cursor, _TRY, layout):
            holders = _holders(cursor, layout)
            return NotYet(f"the topic is published in another number of shards by {holders}", is_anothers=True)
        known = self._known(cursor, topic)
        try:
            if known and known[1] != self._shard.count:
                for number in range(known[1]):
                    fence(Shard(number, known[1]))
        except BaseException:
            self.release()  # and so the lock
            raise
        if known and known[0] == topic.topic_id:
            return self._finish(cursor, topic, layout)
        log.info("topic_filling", topic=topic.name)
        self._marked = 0
        return self._fill(cursor, topic, layout)

    def _fill(self, cursor: psycopg.Cursor[Any], topic: Topic, layout: str) -> NotYet:
        marked = _mark_next(cursor, after=self._marked or 0)
        if marked is None:
            return self._finish(cursor, topic, layout)
        self._marked = marked
        return NotYet(f"the topic is being filled: every aggregate is marked, so far to record {marked}")

    def _finish(self, cursor: psycopg.Cursor[Any], topic: Topic, layout: str) -> NotYet:
        cursor.execute(_REMEMBER, {**_place(topic), "topic_id": topic.topic_id, "shards": self._shard.count})
        _is_true(cursor, _UNLOCK, layout)
        self._marked = None
        return NotYet("the topic is ready")

    def _known(self, cursor: psycopg.Cursor[Any], topic: Topic) -> tuple[str, int] | None:
        return cursor.execute(_KNOWN, _place(topic)).fetchone()

    @contextmanager
    def _cursor(self, *, connecting: bool = False) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor on the one connection; whatever the database has to object to loses the lock with it."""
        try:
            if self._connection is None:
                if not connecting:
                    raise ShardLost("there is no connection that holds the shard's lock")
                self._connection = connect()
                self._introduce(self._connection)
                self._has_connected = True
            with psycopg.Cursor(self._connection) as cursor:
                yield cursor
        except psycopg.Error as error:
            self.release()
            named = store_error(error, has_connected=self._has_connected)
            if named is None:
                raise
            lost_or_not = DatabaseNotReady if isinstance(named, StoreNotReady) else ShardLost
            raise lost_or_not(str(named)) from error

    def _introduce(self, connection: psycopg.Connection[Any]) -> None:
        settings = {
            "application_name": f"publish_aggregates {socket.gethostname()[:30]}:{os.getpid()}",
            "idle_session_timeout": f"{self._silence * 1000:.0f}",  # milliseconds
            # A bitmap scan would read all that is left of the list for each part of it.
            "enable_bitmapscan": "off",
        }
        for setting, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", [setting, value])


def mark_everything() -> Iterator[int]:
    """Marks every aggregate as changed, step by step, each a short transaction; yields how many records were looked at.

    Publishers and writers may run. Raises psycopg.Error.
    """
    looked, after = 0, 0
    with connect() as connection, psycopg.Cursor(connection) as cursor:
        while (marked := _mark_next(cursor, after=after)) is not None:
            looked, after = looked + min(_MARKED_AT_ONCE, marked - after), marked
            yield looked


def _mark_next(cursor: psycopg.Cursor[Any], *, after: int) -> int | None:
    with cursor.connection.transaction():
        interning_share(cursor)
        return mark_next(cursor, after=after, most=_MARKED_AT_ONCE)


def _place(topic: Topic) -> dict[str, object]:
    return {"cluster_id": topic.cluster_id, "topic": topic.name}


def _is_true(cursor: psycopg.Cursor[Any], statement: str, name: str) -> bool:
    row = cursor.execute(statement.encode(), {"name": name}).fetchone()
    return bool(row and row[0])


def _holders(cursor: psycopg.Cursor[Any], name: str) -> str:
    rows = cursor.execute(_HOLDERS.encode(), {"name": name}).fetchall()
    return ", ".join(holder for (holder,) in rows) or "another process"

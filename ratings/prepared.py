"""The read that other services ask all the time, straight through libpq: a cursor costs more than the read itself."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from weakref import WeakSet

import psycopg
from psycopg import pq
from psycopg.errors import InvalidSqlStatementName, error_from_result

AggregateRow: TypeAlias = tuple[int, int, int, datetime]
"""A record's count, total, version and when it changed."""

_NAME = b"movieapp_aggregate"
_STATEMENT = b"""
SELECT aggregate.count::bigint, aggregate.total::bigint, aggregate.version::bigint, aggregate.changed_at
FROM ratings_record AS record JOIN ratings_recordaggregate AS aggregate ON aggregate.record_id = record.id
WHERE record.type = $1::text AND record.external_id = $2::text AND aggregate.count > 0
"""
# As text, what follows a NUL would be cut off and another record be read.
_BINARY = (1, 1)
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_has_it: WeakSet[psycopg.Connection[Any]] = WeakSet()


def prepares(connection: psycopg.Connection[Any]) -> bool:
    """Whether `aggregate_row` may be asked: it may where statements are prepared, outside of transactions."""
    idle = connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
    return idle and connection.prepare_threshold is not None


def aggregate_row(connection: psycopg.Connection[Any], *, record_type: str, record_id: str) -> AggregateRow | None:
    """The record's aggregate, or None when nobody has rated it (any more). One indexed look-up, in one round trip.

    The first one on a connection prepares it. Raises psycopg's errors. One thread at a time, as `prepares` is.
    """
    key = (record_type.encode(), record_id.encode())
    if connection not in _has_it:
        _prepare(connection)
    try:
        found = _execute(connection, key)
    except InvalidSqlStatementName:
        # After a rollback psycopg drops whatever its connection has prepared.
        _prepare(connection)
        found = _execute(connection, key)
    return _row(found) if found.ntuples else None


def _prepare(connection: psycopg.Connection[Any]) -> None:
    _checked(connection, connection.pgconn.prepare(_NAME, _STATEMENT), pq.ExecStatus.COMMAND_OK)
    _has_it.add(connection)


def _execute(connection: psycopg.Connection[Any], key: tuple[bytes, bytes]) -> Any:
    found = connection.pgconn.exec_prepared(_NAME, key, _BINARY, pq.Format.BINARY)
    return _checked(connection, found, pq.ExecStatus.TUPLES_OK)


def _checked(connection: psycopg.Connection[Any], result: Any, wanted: pq.ExecStatus) -> Any:
    if result.status == wanted:
        return result
    if connection.pgconn.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError(f"the connection is lost: {result.get_error_message()}")
    raise error_from_result(result)


def _row(found: Any) -> AggregateRow:
    count, total, version, changed = (_number(found.get_value(0, column)) for column in range(4))
    return count, total, version, _POSTGRES_EPOCH + timedelta(microseconds=changed)


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)

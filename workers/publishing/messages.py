"""An aggregate as a message of the topic that other services follow."""

from decimal import Decimal

import msgspec

from ratings.changes import ChangedAggregate
from workers.kafka.transactions import KeyedMessage

_encode = msgspec.json.Encoder(decimal_format="number").encode


def aggregate_message(changed: ChangedAggregate) -> KeyedMessage:
    """Key and value. The sum is exact, with one decimal; the mean is the nearest double to sum / count, null for none.

    A count of 0 is a value like any other, never a tombstone: once compaction had dropped the record with its version,
    a follower could not tell an old message from a new one.
    """
    value = {
        "recordType": changed.record_type,
        "recordId": changed.record_id,
        "count": changed.count,
        "sum": Decimal(changed.total).scaleb(-1),
        "mean": changed.total / (10 * changed.count) if changed.count else None,
        "version": changed.version,
        "changedAt": changed.changed_at,
    }
    return record_key(changed.record_type, changed.record_id), _encode(value)


def record_key(record_type: str, record_id: str) -> bytes:
    """`type:id`, in UTF-8. In the type `%` and `:` are written %25 and %3A, so that no two records share a key."""
    plain_type = record_type.replace("%", "%25").replace(":", "%3A")
    return f"{plain_type}:{record_id}".encode()

"""Dead letters as the consumer keeps them, for tests of what is done with them afterwards."""

import json
from datetime import timedelta
from itertools import count
from typing import Any

from tests.rating_tables import EPOCH
from workers.ingestion.models import DeadLetter

T = 1_700_000_000_123_456
"""A time that a message may have, in microseconds since the Unix epoch."""

_offsets = count()


def event(rating: object = 8, *, user: str = "ann", record: str = "1", **more: object) -> bytes:
    """A put in the contract's dialect; with rating None a delete."""
    kind = {"eventType": "delete"} if rating is None else {"eventType": "put", "ratingValue": rating}
    return json.dumps({"recordId": record, "recordType": "movie", "userId": user, **kind, **more}).encode()


def kept_letter(value: bytes | None = b"{", *, time: int | None = T, **fields: Any) -> DeadLetter:
    """A letter in the table; `time` as microseconds."""
    return DeadLetter.objects.create(
        **{
            "group": "rating",
            "cluster_id": "c",
            "topic_id": "t",
            "topic": "ratings",
            "partition": 3,
            "offset": next(_offsets),
            "value": value,
            "field": "ratingValue",
            "reason": "for a test",
            "timestamp": None if time is None else EPOCH + timedelta(microseconds=time),
            **fields,
        }
    )

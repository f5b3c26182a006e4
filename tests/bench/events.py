"""Rating events to measure with: seeded, skewed as popularity is, one in ten a delete."""

import json
from pathlib import Path

import numpy as np

_RECORDS = 20_000
_USERS = 200_000
_CHUNK = 100_000


def write_events(path: Path, count: int) -> None:
    """`count` events as NDJSON; the same count gives the same file."""
    random = np.random.default_rng(20_261_122)
    with path.open("w") as file:
        for first in range(0, count, _CHUNK):
            size = min(_CHUNK, count - first)
            records = random.zipf(1.2, size) % _RECORDS
            users = random.integers(0, _USERS, size)
            tenths = random.integers(0, 101, size)
            deletes = random.random(size) < 0.1
            for record, user, value, delete in zip(
                records.tolist(), users.tolist(), tenths.tolist(), deletes.tolist(), strict=True
            ):
                event = {"recordId": str(record), "recordType": "movie", "userId": str(user), "providerId": "bench"}
                event |= {"eventType": "delete"} if delete else {"ratingValue": value / 10, "eventType": "put"}
                file.write(json.dumps(event) + "\n")

"""What bounds ingestion, each alone in a process of its own: fetching and decoding, the SQL, and a plain COPY.

Tells on its last line, as JSON, how many `events` took how many `seconds` and `cpu_seconds`; what only prepares is not
counted. Reads the database and the topic of the environment.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import psycopg

from tests.bench.ingest.events import Events, stream

if TYPE_CHECKING:
    from ratings.events import RatingEvent

BATCH = 20_000
_BATCHES_AHEAD = 10
_FETCH_MOST = 1_000
_FETCH_TIMEOUT = 0.05
_FIRST_TIME = 1_750_000_000_000_000
_POSTGRES_EPOCH = 946_684_800_000_000
_COLUMNS = "id, value, previous, written_at, rater_id, record_id"


class Stopwatch:
    """Seconds and CPU seconds, of this whole process, of the blocks `running`."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts while in the block."""
        began, cpu = time.monotonic(), time.process_time()
        yield
        self.seconds += time.monotonic() - began
        self.cpu_seconds += time.process_time() - cpu


class _Listener:
    """A group listener that begins everywhere at the start."""

    def partitions_assigned(self, partitions: Sequence[int]) -> Mapping[int, Any]:
        from workers.kafka.group import Start

        return {partition: Start(0) for partition in partitions}

    def partitions_revoked(self, partitions: Sequence[int]) -> None: ...

    def partitions_lost(self, partitions: Sequence[int]) -> None: ...


def fetch_and_decode(events: Events, watch: Stopwatch) -> int:
    """The consume loop's fetching and decoding into batches, from the first message on, and no store."""
    from django.conf import settings

    from workers.ingestion.consuming.batch import Batch, Claim
    from workers.kafka.consumer import KafkaGroupConsumer

    gc.freeze()
    gc.set_threshold(250_000, 20, 100)  # as consume_ratings does
    source = KafkaGroupConsumer(group="fetch", topic=settings.RATINGS_TOPIC)
    source.join(_Listener())
    while not (fetched := source.fetch(most=_FETCH_MOST, timeout=_FETCH_TIMEOUT)).messages:
        pass
    claims = {partition: Claim(epoch=1, next_offset=0) for partition in range(settings.RATINGS_TOPIC_PARTITIONS)}
    done, batch = 0, Batch()
    with watch.running():
        while True:
            before = batch.messages
            batch.add(fetched.messages, claims, now=time.time_ns() // 1000)
            done += batch.messages - before
            if batch.messages >= BATCH:
                for part in batch:
                    claims[part.partition].next_offset = part.end
                batch = Batch()
            if done == len(events):
                break
            fetched = source.fetch(most=_FETCH_MOST, timeout=_FETCH_TIMEOUT)
    source.close()
    return done


def same_sql(events: Events, watch: Stopwatch) -> int:
    """Interning and the write statement as the consumer has them, one batch interned while another is written.

    The events are decoded already: some batches ahead of the clock, which stops in between.
    """
    from ratings.events import decode_event
    from ratings.interning import Interner
    from ratings.services import RatingWrites, rating_writes, ratings_write
    from workers.database import connect

    interner, times = Interner(), count(_FIRST_TIME)
    with connect() as interning, connect() as writing, ThreadPoolExecutor(1) as pool:
        find, write = psycopg.Cursor[Any](interning), psycopg.Cursor[Any](writing)

        def prepared(batch: "list[RatingEvent]") -> RatingWrites:
            return rating_writes(find, interner, batch, list(islice(times, len(batch))))

        payloads = events.payloads(BATCH)
        while ahead := [[decode_event(payload) for payload in batch] for batch in islice(payloads, _BATCHES_AHEAD)]:
            with watch.running():
                for ready in [pool.submit(prepared, batch) for batch in ahead]:
                    writes = ready.result()
                    with writing.transaction():
                        ratings_write(write, writes)
    return len(events)


def copy_bare(events: Events, watch: Stopwatch) -> int:
    """COPY of the ratings that stand in the end into a table of the same columns, without keys and indexes."""
    return _copied(events, watch, "bare")


def copy_final(events: Events, watch: Stopwatch) -> int:
    """The same into the ratings' own table with all it has."""
    return _copied(events, watch, "ratings_rating")


def _copied(events: Events, watch: Stopwatch, table: str) -> int:
    from django.db import connection as django

    standing = events.standing()
    rows = standing.at(np.random.default_rng(1).permutation(len(standing)))
    with psycopg.connect(**_plain(django.get_connection_params()), autocommit=True) as connection:
        connection.execute("CREATE TABLE bare AS SELECT * FROM ratings_rating")
        for first in range(0, len(rows), BATCH):
            data = _binary(rows.at(np.arange(first, min(first + BATCH, len(rows)))))
            with (
                watch.running(),
                connection.cursor() as cursor,
                cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT binary)".encode()) as copy,
            ):
                copy.write(data)
    return len(rows)


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}


def _binary(rows: Events) -> bytes:
    """COPY's binary form (PostgreSQL manual, COPY, "Binary Format"): all values are there, but `previous` never is."""
    raters = rows.users + 1  # as the sequence gives them
    columns: list[tuple[str, str, npt.NDArray[Any] | int | None]] = [
        ("id", ">i8", rows.records << 32 | raters),
        ("value", ">i2", rows.tenths),
        ("previous", "", None),
        ("written_at", ">i8", _FIRST_TIME - _POSTGRES_EPOCH),
        ("rater_id", ">i4", raters),
        ("record_id", ">i4", rows.records),
    ]
    fields = [("count", ">i2")]
    for name, kind, _ in columns:
        fields += [(f"{name} length", ">i4"), *([(name, kind)] if kind else [])]
    table = np.empty(len(rows), dtype=fields)
    table["count"] = len(columns)
    for name, kind, values in columns:
        table[f"{name} length"] = np.dtype(kind).itemsize if kind else -1
        if kind:
            table[name] = values
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + table.tobytes() + b"\xff\xff"


LIMITS: Mapping[str, Callable[[Events, Stopwatch], int]] = {
    "fetch-decode": fetch_and_decode,
    "same-sql": same_sql,
    "copy-bare": copy_bare,
    "copy-final": copy_final,
}


def main() -> None:
    """Measures one limit with the stream that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("limit", choices=LIMITS)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--deletes", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    import django

    django.setup()
    watch = Stopwatch()
    done = LIMITS[asked.limit](stream(asked.events, deletes=asked.deletes, seed=asked.seed), watch)
    print(json.dumps({"events": done, "seconds": watch.seconds, "cpu_seconds": watch.cpu_seconds}))


if __name__ == "__main__":
    main()

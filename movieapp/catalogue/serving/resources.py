"""What the servicers of one server share, and what keeps it going."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from movieapp.rpc.open_streams import OpenStreams
from ratings.postgres_watching import PostgresAggregates
from ratings.watching import AggregateWatches


@dataclass(frozen=True, slots=True)
class Resources:
    """The streams that are open, and what those of ratings watch."""

    watches: AggregateWatches
    streams: OpenStreams


@contextmanager
def resources_kept(executor: Executor) -> Iterator[Resources]:
    """What one server has, at work inside the block; one thread of `executor` reads the database for it."""
    resources = Resources(watches=AggregateWatches(reader=PostgresAggregates()), streams=OpenStreams())
    with resources.watches.kept(executor), resources.streams.kept():
        yield resources

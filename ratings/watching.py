"""Changes of watched aggregates, found by asking for their versions: whoever made them, and by whatever way."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from django.db import Error

from ratings.errors import TooManyWatches, WatchBlind
from ratings.selectors import Aggregate, RecordKey

MOST_WATCHED = 20_000
"""How many different records one process watches: a look at them all takes some 50 ms of the database."""

LOOK_EVERY = 0.25
"""Seconds between two looks."""

_BLIND_AFTER = 10.0
# Watches that open at once share a look.
_GATHER = 0.05

log = structlog.get_logger(__name__)


class AggregateReader(Protocol):
    """Where aggregates are read. For one thread."""

    def changed(self, versions: Mapping[RecordKey, int]) -> Sequence[Aggregate]:
        """The committed aggregates of those records that have another version than the given one.

        0 is the version of a record that was never rated. One that nobody rates any more has a count of 0. Raises
        django.db.Error when it cannot tell.
        """

    def close(self) -> None:
        """Gives up what it holds; the next look takes it anew."""


@dataclass(frozen=True, slots=True)
class RecordState:
    """How it stands with a record; no aggregate when nobody has rated it (any more)."""

    record: RecordKey
    aggregate: Aggregate | None


class Watch:
    """The changes of some records, for one watcher; made by AggregateWatches.open. At most one state each is kept."""

    def __init__(self, records: Sequence[RecordKey], *, seconds: Callable[[], float]) -> None:
        self.records = records
        self._seconds = seconds
        self._seen_at = seconds()
        self._is_blind = False
        self._changed = threading.Condition()
        self._pending: dict[RecordKey, RecordState] = {}
        self._has_begun = False
        self._is_woken = False

    def next(self, *, timeout: float) -> Sequence[RecordState]:
        """First the state of each record in order, then of those that have changed since; nothing after `timeout`.

        Nothing after `wake`, too. Raises WatchBlind when the aggregates could not be read for 10 s.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._is_woken, timeout)
            self._is_woken = False
            states = list(self._pending.values())
            self._pending.clear()
        if not states and self._seconds() - self._seen_at > _BLIND_AFTER:
            # Not the first time: a process that was frozen has not looked meanwhile, and does so now.
            if self._is_blind:
                raise WatchBlind(f"the database has not answered for {_BLIND_AFTER:g} s: watch again in a few seconds")
            self._is_blind = True
        return states

    def wake(self) -> None:
        """Lets `next` return now. For any thread."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def tell(self, states: Sequence[RecordState], *, is_first: bool = False) -> None:
        """Replaces what was known of these records; what comes before the first states is a part of them."""
        with self._changed:
            self._has_begun = self._has_begun or is_first
            if self._has_begun:
                self._pending.update((state.record, state) for state in states)
                self._changed.notify_all()

    def seen(self) -> None:
        """The aggregates were read just now."""
        self._seen_at = self._seconds()
        self._is_blind = False


@dataclass(slots=True)
class _Watched:
    """A record that somebody watches. What nobody ever rated has version 0, and every record until the first look."""

    state: RecordState
    version: int = 0
    watches: set[Watch] = field(default_factory=set)


class AggregateWatches:
    """All watches of a process, kept by one thread that looks as long as there is one. For any thread, but `turn`."""

    def __init__(
        self, *, reader: AggregateReader, most: int = MOST_WATCHED, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = reader
        self._most = most
        self._seconds = seconds
        self._changed = threading.Condition()
        self._watched: dict[RecordKey, _Watched] = {}
        self._open: set[Watch] = set()
        self._newcomers: set[Watch] = set()
        self._is_ending = False
        self._is_blind = False

    def __len__(self) -> int:
        """How many records are watched."""
        return len(self._watched)

    @contextmanager
    def open(self, records: Sequence[RecordKey]) -> Iterator[Watch]:
        """Watches these records, each once, inside the block. Raises TooManyWatches.

        Its first states are read after it is there, so that no change falls between them and the first look.
        """
        watch = Watch(records, seconds=self._seconds)
        with self._changed:
            strangers = sum(record not in self._watched for record in records)
            if len(self._watched) + strangers > self._most:
                raise TooManyWatches(f"this server watches {self._most} records at most: try another one")
            for record in records:
                self._watched.setdefault(record, _Watched(RecordState(record, None))).watches.add(watch)
            self._open.add(watch)
            self._newcomers.add(watch)
            self._changed.notify_all()
        try:
            yield watch
        finally:
            self._remove(watch)

    def turn(self) -> None:
        """Looks once and tells whoever watches. Raises django.db.Error when the aggregates cannot be read."""
        with self._changed:
            versions = {record: watched.version for record, watched in self._watched.items()}
            newcomers = list(self._newcomers)
        aggregates = self._reader.changed(versions)
        with self._changed:
            self._tell(aggregates)
            for watch in self._newcomers.intersection(newcomers):
                self._newcomers.remove(watch)
                watch.tell([self._watched[record].state for record in watch.records], is_first=True)
            for watch in self._open:
                watch.seen()

    @contextmanager
    def kept(self, executor: Executor) -> Iterator[None]:
        """Looks inside the block, in a thread of `executor`, four times a second and at once for a new watch.

        At the block's end no look begins any more; one may still be under way.
        """
        executor.submit(self._look_on)
        try:
            yield
        finally:
            with self._changed:
                self._is_ending = True
                self._changed.notify_all()

    def _tell(self, aggregates: Sequence[Aggregate]) -> None:
        states: dict[Watch, list[RecordState]] = defaultdict(list)
        for aggregate in aggregates:
            record = (aggregate.record_type, aggregate.record_id)
            watched = self._watched.get(record)
            if watched is not None:  # somebody still does
                watched.version = aggregate.version
                watched.state = RecordState(record, aggregate if aggregate.count else None)
                for watch in watched.watches:
                    states[watch].append(watched.state)
        for watch, changed in states.items():
            watch.tell(changed)

    def _remove(self, watch: Watch) -> None:
        with self._changed:
            self._open.discard(watch)
            self._newcomers.discard(watch)
            for record in watch.records:
                watched = self._watched.get(record)
                if watched is not None:
                    watched.watches.discard(watch)
                    if not watched.watches:
                        del self._watched[record]

    def _look_on(self) -> None:
        while self._is_watched():
            self._look()
            with self._changed:
                self._changed.wait_for(lambda: self._is_ending, _GATHER)
                self._changed.wait_for(lambda: self._is_ending or self._newcomers, LOOK_EVERY - _GATHER)
        self._reader.close()

    def _is_watched(self) -> bool:
        """Waits until there is something to look at; False at the end. Meanwhile nothing is held."""
        with self._changed:
            if self._watched:
                return not self._is_ending
        self._reader.close()
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending or self._watched)
            return not self._is_ending

    def _look(self) -> None:
        try:
            self.turn()
        except Error as error:
            if not self._is_blind:
                log.warning("aggregates_unreadable", error=type(error).__name__)
            self._is_blind = True
        except Exception:
            log.exception("watched_aggregates_failed")
        else:
            self._is_blind = False

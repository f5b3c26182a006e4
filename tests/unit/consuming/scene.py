"""A consume loop on a virtual clock: the test decides when a write ends, fails, or ends without saying so."""

import json
from collections import deque
from concurrent.futures import Executor, Future

from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.consumer import RatingConsumer
from workers.ingestion.consuming.memory import InMemoryStore, MemoryTables
from workers.ingestion.consuming.threads import Threads
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import StoreUnavailable
from workers.kafka.memory import MemoryGroupConsumer, MemoryTopic

START = 1_700_000_000_000
"""The clock's first time, in milliseconds since the Unix epoch."""


class VirtualClock:
    """A Clock that stands still unless it is moved, or somebody sleeps on it."""

    def __init__(self):
        self.now = 1_000.0

    def seconds(self):
        return self.now

    def microseconds(self):
        return START * 1000 + round((self.now - 1_000.0) * 1_000_000)

    def sleep(self, seconds):
        self.now += max(seconds, 0.001)


class ManualExecutor(Executor):
    """Runs a call when the test says so, or when somebody waits for it; a stuck one lets the time-out pass."""

    def __init__(self, clock):
        self.clock = clock
        self.stuck = False
        self._calls = deque()

    def submit(self, fn, /, *args, **kwargs):
        future = _ManualFuture(self)
        self._calls.append((future, fn, args))
        return future

    def run_one(self):
        if self._calls:
            future, call, args = self._calls.popleft()
            if future.cancelled():
                return
            try:
                future.set_result(call(*args))
            except Exception as error:
                future.set_exception(error)

    def await_end(self, future, timeout):
        while not future.done():
            if self.stuck:
                while self._calls[0][0].cancelled():
                    self._calls.popleft()
                if not self._calls[0][0].running():  # this call has begun, and cannot be taken back
                    self._calls[0][0].set_running_or_notify_cancel()
                self.clock.sleep(timeout)
                raise TimeoutError
            self.run_one()

    def shutdown(self, wait=True, *, cancel_futures=False):
        while self._calls and not self.stuck:
            self.run_one()


class _ManualFuture(Future):
    def __init__(self, executor):
        super().__init__()
        self._executor = executor

    def result(self, timeout=None):
        self._executor.await_end(self, timeout)
        return super().result(0)

    def exception(self, timeout=None):
        self._executor.await_end(self, timeout)
        return super().exception(0)


class InlineExecutor(Executor):
    """Runs each call at once."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def run_one(self):
        """Nothing waits."""


class FaultyStore:
    """A store whose next calls fail as `faults` say: "before" anything is written, or "after" everything is.

    To prepare a batch is no such call: it fails `unprepared` times. Nor is the look at the epochs, which comes at no
    certain time: it fails while the next call would.
    """

    def __init__(self, store, topic=None):
        self.store = store
        self.topic = topic
        self.faults = deque()
        self.applied = []
        self.unprepared = 0
        self.writes_nothing = False
        """It answers and moves positions, as a database on a full disk does."""
        self.silent = 0.0
        self.ends_within = None
        self.calls = []

    def begun(self):
        return self._call("begun", self.store.begun)

    def take(self, partitions, *, first_offset, committed=None):
        return self._call("take", lambda: self.store.take(partitions, first_offset=first_offset, committed=committed))

    def prepare(self, batch):
        if self.unprepared:
            self.unprepared -= 1
            raise StoreUnavailable("the connection was refused")
        return self.store.prepare(batch)

    def apply(self, prepared, *, allowance=None):
        self._check(prepared.batch)
        return self._call("apply", lambda: self._apply(prepared, allowance))

    def try_out(self, batch, *, allowance=None):
        return self._call("try_out", lambda: self._try_out(batch, allowance))

    def _try_out(self, batch, allowance):
        self._check_space(batch)
        self.store.try_out(batch, allowance=allowance)

    def _check_space(self, batch):
        if self.writes_nothing and batch.messages:
            raise StoreUnavailable("no space left")

    def _apply(self, prepared, allowance):
        self._check_space(prepared.batch)
        applied = self.store.apply(prepared, allowance=allowance)
        self.applied += [(part.partition, part.start, part.end) for part in prepared.batch]
        return applied

    def positions(self):
        return self._call("positions", self.store.positions)

    def epochs(self):
        self.calls.append("epochs")
        if self.faults and self.faults[0] == "before":
            raise StoreUnavailable("the connection was refused")
        return self.store.epochs()

    def silent_for(self):
        return self.silent

    def end_within(self, seconds):
        self.ends_within = seconds

    def close(self):
        self.store.close()

    def _call(self, name, call):
        self.calls.append(name)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault == "before":
            raise StoreUnavailable("the connection was refused")
        answer = call()
        if fault == "after":
            raise StoreUnavailable("the connection was lost")
        return answer

    def _check(self, batch):
        """No slice may claim an offset whose message it does not carry."""
        for part in batch:
            there = len(self.topic.messages(part.partition, part.start, part.end))
            carried = len(part.events) + len(part.letters)
            assert carried == there, f"{part.partition}: {carried} of {there} in [{part.start}, {part.end})"


class Scene:
    """One topic, one set of tables, and as many members of the group as a test makes."""

    def __init__(self, partitions=2):
        self.clock = VirtualClock()
        self.topic = MemoryTopic(partitions)
        self.tables = MemoryTables()

    def member(self, *partitions, group="rating", limits=None, flush_seconds=10.0, **more):
        """A consumer that has joined and owns `partitions`."""
        limits = limits or BatchLimits(messages=100)
        member = Member(self, group=group, limits=limits, flush_seconds=flush_seconds, **more)
        if partitions:
            member.source.give(*partitions)
            member.consumer.turn()
        return member

    def put(self, partition, user, value, *, milliseconds=START, record="1"):
        return self.topic.append(partition, put(user, value, record=record), milliseconds=milliseconds)

    def poison(self, partition, value=b"no json"):
        return self.topic.append(partition, value, milliseconds=START)

    def values(self):
        """What stands, by user and record: tenths, or None for a tombstone."""
        return {(key[3], key[1]): standing.tenths for key, standing in self.tables.ratings.standing().items()}

    def positions(self, group="rating"):
        return InMemoryStore(self.tables, group=group).positions()

    def skipped(self):
        return sum(position.skipped for position in self.tables.positions.values())

    def committed(self, group="rating"):
        return {partition: commit.offset for partition, commit in self.topic.commits.get(group, {}).items()}

    def letters(self):
        return {key[1:]: letter.attempts for key, letter in self.tables.letters.items()}


class Member:
    """A consumer with its own clock-driven writer and a store that can fail."""

    def __init__(
        self, scene, *, group, limits, flush_seconds, delivery=Delivery.EXACTLY_ONCE, preparing=None, breaker=None
    ):
        self.scene = scene
        self.executor = ManualExecutor(scene.clock)
        self.preparing = preparing or InlineExecutor()
        self.store = FaultyStore(InMemoryStore(scene.tables, group=group, delivery=delivery), scene.topic)
        self.source = MemoryGroupConsumer(scene.topic, group=group, idle=scene.clock.sleep)
        self.consumer = RatingConsumer(
            source=self.source,
            store=self.store,
            delivery=delivery,
            limits=limits,
            breaker=breaker,
            flush_seconds=flush_seconds,
            clock=scene.clock,
            threads=Threads(writing=self.executor, preparing=self.preparing),
        )
        self.source.join(self.consumer)

    def turns(self, count=1):
        for _ in range(count):
            self.consumer.turn()

    def settle(self, turns=200):
        """Turns, with writes that end at once, until nothing is on its way any more."""
        for _ in range(turns):
            self.executor.run_one()
            self.consumer.turn()
            self.scene.clock.sleep(0.05)

    def submit(self):
        """Fetches what there is and hands it to the writer, which has not begun yet."""
        self.turns()
        self.scene.clock.sleep(1)
        self.turns()
        assert self.consumer._writer.is_writing


def take_from(scene, *partitions, group="rating"):
    """What another owner does in the store."""
    return InMemoryStore(scene.tables, group=group).take(partitions, first_offset=scene.topic.first)


def put(user, value, *, record="1"):
    event = {"recordId": record, "recordType": "movie", "userId": user, "ratingValue": value, "eventType": "put"}
    return json.dumps(event).encode()


def delete(user, *, record="1"):
    return json.dumps({"recordId": record, "recordType": "movie", "userId": user, "eventType": "delete"}).encode()

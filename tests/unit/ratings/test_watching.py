"""Watches, on aggregates in memory: first how it stands, then each change, and never more than one state a record."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError

from ratings.errors import TooManyWatches, WatchBlind
from ratings.events import RatingEvent
from ratings.memory_watching import MemoryAggregates
from ratings.watching import AggregateWatches
from tests.waiting import wait_until

ALIEN, BRAZIL, CUBE = (("movie", name) for name in ("alien", "brazil", "cube"))
LATE = 5


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reader():
    return MemoryAggregates()


@pytest.fixture
def watches(reader, clock):
    return AggregateWatches(reader=reader, most=5, seconds=clock)


def put(reader, record, tenths, user="ann"):
    reader.write_now([RatingEvent(*record, "", user, tenths)])


def told(watch, timeout=0.0):
    """What a watch tells now: count and total of each record, None without a rating."""
    return [
        (state.record, state.aggregate and (state.aggregate.count, state.aggregate.total))
        for state in watch.next(timeout=timeout)
    ]


def test_first_all_of_them_in_their_order_and_then_what_changes(watches, reader):
    put(reader, BRAZIL, 40)
    with watches.open([CUBE, BRAZIL, ALIEN]) as watch:
        assert told(watch) == []
        watches.turn()
        assert told(watch) == [(CUBE, None), (BRAZIL, (1, 40)), (ALIEN, None)]
        watches.turn()
        assert told(watch) == []
        put(reader, ALIEN, 0)
        put(reader, BRAZIL, None)
        watches.turn()
        assert sorted(told(watch)) == [(ALIEN, (1, 0)), (BRAZIL, None)]


def test_changes_that_nobody_took_become_one(watches, reader):
    with watches.open([ALIEN, BRAZIL]) as slow, watches.open([ALIEN]) as quick:
        for number in range(1, 50):
            put(reader, ALIEN, 10, user=f"user {number}")
            watches.turn()
            assert told(quick) == [(ALIEN, (number, number * 10))]
        assert len(slow._pending) == 2
        assert told(slow) == [(ALIEN, (49, 490)), (BRAZIL, None)]


def test_a_version_that_goes_back_is_a_change_too(watches, reader):
    put(reader, ALIEN, 10)
    put(reader, ALIEN, 20)
    with watches.open([ALIEN]) as watch:
        watches.turn()
        assert told(watch) == [(ALIEN, (1, 20))]
        restored = MemoryAggregates()
        put(restored, ALIEN, 10)
        watches._reader = restored
        watches.turn()
        assert told(watch) == [(ALIEN, (1, 10))]


def test_a_change_between_opening_and_the_first_look_is_in_it(watches, reader):
    class Interrupted:
        """Another watch opens, and a rating is put, in the middle of a look."""

        def changed(self, versions):
            found = reader.changed(versions)
            stack.append(watches.open([ALIEN, BRAZIL]))
            stack.append(stack[0].__enter__())
            put(reader, ALIEN, 70)
            return found

        def close(self):
            pass

    stack = []
    with watches.open([ALIEN]) as early:
        watches._reader = Interrupted()
        watches.turn()
        watches._reader = reader
        opened, late = stack
        assert told(early) == [(ALIEN, None)]
        assert told(late) == []
        watches.turn()
        assert told(early) == [(ALIEN, (1, 70))]
        assert told(late) == [(ALIEN, (1, 70)), (BRAZIL, None)]
        opened.__exit__(None, None, None)


def test_nothing_stays_of_a_watch_that_is_over(watches, reader):
    with watches.open([ALIEN, BRAZIL]):
        with watches.open([BRAZIL, CUBE]):
            assert len(watches) == 3
            watches.turn()
        assert len(watches) == 2
    assert len(watches) == 0
    assert not watches._open
    assert not watches._newcomers
    watches.turn()


def test_as_many_records_as_it_may_have_and_no_more(watches):
    records = [("movie", str(number)) for number in range(5)]
    with watches.open(records), watches.open(records):
        with pytest.raises(TooManyWatches), watches.open([ALIEN]):
            pytest.fail("it was opened")
        assert len(watches) == 5
    with watches.open([ALIEN]):
        assert len(watches) == 1


def test_a_watch_says_when_it_sees_nothing(watches, reader, clock):
    with watches.open([ALIEN]) as watch:
        watches.turn()
        assert told(watch) == [(ALIEN, None)]
        reader.is_away = True
        for _ in range(2):
            clock.now += 4.9
            with pytest.raises(OperationalError):
                watches.turn()
            assert told(watch) == []
        clock.now += 0.3
        assert told(watch) == []
        with pytest.raises(WatchBlind, match="the database has not answered for 10 s"):
            watch.next(timeout=0)
        reader.is_away = False
        put(reader, ALIEN, 10)
        watches.turn()
        assert told(watch) == [(ALIEN, (1, 10))]


def test_a_process_that_was_frozen_looks_before_it_says_so(watches, reader, clock):
    with watches.open([ALIEN]) as watch:
        for _ in range(2):
            watches.turn()
            told(watch)
            clock.now += 3600
            assert told(watch) == []


def test_a_watch_that_opens_after_hours_without_any_is_not_blind(watches, clock):
    clock.now += 36_000
    with watches.open([ALIEN]) as watch:
        assert told(watch) == []


def test_a_watch_is_woken(watches):
    with watches.open([ALIEN]) as watch:
        woken = threading.Timer(0.05, watch.wake)
        woken.start()
        assert told(watch, timeout=LATE) == []
        woken.join()


def test_a_thread_looks_while_somebody_watches_and_rests_otherwise(reader):
    watches = AggregateWatches(reader=reader)
    with ThreadPoolExecutor(1) as executor, watches.kept(executor):
        assert reader.looks == 0
        with watches.open([ALIEN]) as watch:
            assert told(watch, timeout=LATE) == [(ALIEN, None)]
            put(reader, ALIEN, 10)
            assert told(watch, timeout=LATE) == [(ALIEN, (1, 10))]
            reader.is_away = True
            looks = reader.looks
            wait_until(lambda: reader.looks > looks, timeout=LATE)
            reader.is_away = False
            put(reader, ALIEN, 20)
            assert told(watch, timeout=LATE) == [(ALIEN, (1, 20))]
        looks = reader.looks
        with watches.open([BRAZIL]) as watch:  # the thread rests until somebody watches again
            assert told(watch, timeout=LATE) == [(BRAZIL, None)]
        assert reader.looks <= looks + 2


def test_a_fault_in_one_look_does_not_end_the_others(reader):
    class Faulty(MemoryAggregates):
        faults = 2

        def changed(self, versions):
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a bug")
            return super().changed(versions)

    watches = AggregateWatches(reader=Faulty())
    with ThreadPoolExecutor(1) as executor, watches.kept(executor), watches.open([ALIEN]) as watch:
        assert told(watch, timeout=LATE) == [(ALIEN, None)]

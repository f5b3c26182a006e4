"""Threads for calls know when they have no room for more, and whether the calls in hand get on."""

import threading
from concurrent.futures import Future

import pytest

from movieapp.rpc.threads import AtOnce, CallThreads
from tests.waiting import wait_until


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def threads(clock):
    """Two of them, and room for one call that waits."""
    with CallThreads(2, waiting=1, clock=clock) as pool:
        yield pool


class Calls:
    """Calls that go on until the test ends them, one after the other."""

    def __init__(self, threads):
        self._threads = threads
        self._may_end = threading.Semaphore(0)
        self.futures = []

    def begin(self):
        self.futures.append(self._threads.submit(self._may_end.acquire, timeout=10))

    def end(self):
        ended = sum(future.done() for future in self.futures)
        self._may_end.release()
        wait_until(lambda: sum(future.done() for future in self.futures) > ended)


@pytest.fixture
def calls(threads):
    calls = Calls(threads)
    yield calls
    while not all(future.done() for future in calls.futures):
        calls.end()


def test_full_is_what_is_at_work_and_what_waits(threads, calls):
    for _ in range(3):
        assert not threads.is_full
        calls.begin()
    assert threads.is_full
    calls.end()
    assert not threads.is_full


def test_a_call_that_raises_has_ended_too(threads, calls):
    for _ in range(3):
        assert isinstance(threads.submit(lambda: 1 / 0).exception(10), ZeroDivisionError)
    for _ in range(3):
        assert not threads.is_full
        calls.begin()


def test_stuck_is_when_all_are_at_work_and_none_ends(threads, calls, clock):
    calls.begin()
    clock.now += 60
    assert not threads.is_stuck(10)  # one is free
    calls.begin()
    assert not threads.is_stuck(10)  # and was until now
    clock.now += 9
    calls.begin()
    assert not threads.is_stuck(10)
    clock.now += 2
    assert threads.is_stuck(10)


def test_who_has_too_much_to_do_and_gets_on_is_not_stuck(threads, calls, clock):
    for _ in range(3):
        calls.begin()
    for _ in range(5):
        clock.now += 9
        calls.end()
        calls.begin()
        assert not threads.is_stuck(10)


@pytest.fixture
def no_more_threads(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


def test_a_machine_that_has_no_thread_for_a_call_is_not_noticed(no_more_threads, threads):
    no_more_threads()
    assert [threads.submit(int, "7").result(10) for _ in range(5)] == [7] * 5


def test_it_begins_with_as_many_as_is_said(no_more_threads):
    with CallThreads(3, waiting=0, begins_with=2) as threads:
        no_more_threads()
        together = threading.Barrier(2)
        futures = [threads.submit(together.wait, 10) for _ in range(2)]
        assert {future.result(10) for future in futures} == {0, 1}


def test_a_call_without_a_thread_waits_for_another_one(no_more_threads):
    with CallThreads(2, waiting=1) as threads:
        calls = Calls(threads)
        calls.begin()
        no_more_threads()
        calls.begin()
        assert not threads.is_full
        calls.end()
        calls.end()
        assert all(future.result(0) for future in calls.futures)


def test_without_threads_there_is_none(no_more_threads):
    no_more_threads()
    with pytest.raises(RuntimeError, match="the machine has no 2 threads for calls"):
        CallThreads(2, waiting=1, begins_with=2)


def test_what_comes_after_its_end_is_dropped(threads):
    threads.shutdown()
    assert [threads.submit(int).cancelled() for _ in range(5)] == [True] * 5
    assert not threads.is_full


def test_at_once_is_in_the_same_thread_and_done():
    future = AtOnce().submit(lambda *, of: (threading.current_thread(), of), of=7)
    assert isinstance(future, Future)
    assert future.result(0) == (threading.current_thread(), 7)

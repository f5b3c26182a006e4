"""A check that may hang never holds up those who ask."""

import threading
import time

from movieapp.probes.bounded_check import BoundedCheck
from tests.waiting import wait_until


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_asks_again_only_when_the_answer_is_old():
    clock = Clock()
    asked = []
    check = BoundedCheck(lambda: not asked.append(clock.now), keep=2.0, clock=clock)
    assert [check.answer(timeout=5) for _ in range(3)] == [True] * 3
    clock.now = 1.9
    assert check.answer(timeout=5)
    assert asked == [0.0]
    clock.now = 2.0
    assert check.answer(timeout=5)
    assert asked == [0.0, 2.0]


def test_a_hanging_check_is_false_in_time_and_runs_once():
    release = threading.Event()
    calls = []

    def hang():
        calls.append(1)
        return release.wait(30)

    check = BoundedCheck(hang, keep=60.0)
    started = time.monotonic()
    try:
        assert [check.answer(timeout=0.05) for _ in range(3)] == [False] * 3
        assert time.monotonic() - started < 2
        assert len(calls) == 1
    finally:
        release.set()
    wait_until(lambda: check.answer(timeout=1), message="the answer of the check that hung")
    assert len(calls) == 1


def test_recovers_from_a_failed_check():
    clock = Clock()
    answers = iter([False, True])
    check = BoundedCheck(lambda: next(answers), keep=1.0, clock=clock)
    assert not check.answer(timeout=5)
    clock.now = 1.0
    assert check.answer(timeout=5)


def test_no_time_left_still_gives_a_fresh_answer():
    check = BoundedCheck(lambda: True, keep=60.0)
    assert check.answer(timeout=5)
    assert check.answer(timeout=-1)


def test_without_a_thread_for_it_the_answer_is_no(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    check = BoundedCheck(lambda: True, keep=60.0)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", start)
        assert not check.answer(timeout=5)
    assert check.answer(timeout=5)

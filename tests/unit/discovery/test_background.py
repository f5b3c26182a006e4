"""Turns go on in a thread of their own, whatever one of them does, until they are stopped."""

import threading

import pytest

from tests.waiting import wait_until
from workers.discovery import background
from workers.discovery.background import Background


def test_turns_come_one_after_the_other_until_the_stop() -> None:
    turns: list[int] = []
    runner = Background(lambda: turns.append(len(turns)) or 0.0, name="test")
    runner.start()
    wait_until(lambda: len(turns) > 10)
    runner.stop(patience=5.0)
    ended = len(turns)
    assert not runner._thread.is_alive()
    assert turns == list(range(ended))


def test_a_turn_that_raises_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_AFTER_A_FAULT", 0.0)
    turns: list[int] = []

    def turn() -> float:
        turns.append(1)
        if len(turns) == 1:
            raise RuntimeError("a fault of ours")
        return 0.01

    runner = Background(turn, name="test")
    runner.start()
    wait_until(lambda: len(turns) > 2)
    runner.stop(patience=5.0)


def test_a_long_pause_ends_with_the_stop() -> None:
    turned = threading.Event()

    def turn() -> float:
        turned.set()
        return 3_600.0

    runner = Background(turn, name="test")
    runner.start()
    assert turned.wait(5)
    runner.stop(patience=5.0)
    assert not runner._thread.is_alive()


def test_stopping_before_the_start_is_no_fault() -> None:
    Background(lambda: 0.0, name="test").stop()

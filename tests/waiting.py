"""Waits for a condition with a deadline: the one way in which tests wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 30, message: str | Callable[[], str] = "") -> T:
    """The first true value that `condition` returns; AssertionError with `message` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while not (value := condition()):
        if time.monotonic() > deadline:
            said = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:g} s: {said or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return value

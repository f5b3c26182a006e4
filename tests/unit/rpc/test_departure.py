"""Answers that their callers do not take are counted until their calls are over, and only so many are kept."""

import pytest

from movieapp.rpc.departure import Departures
from movieapp.rpc.errors import TooMuchUnsent


class Call:
    """A call's context, as far as it is asked."""

    def __init__(self, *, is_over=False):
        self.is_over = is_over
        self.callbacks = []

    def add_callback(self, callback):
        if not self.is_over:
            self.callbacks.append(callback)
        return not self.is_over

    def end(self):
        for callback in self.callbacks:
            callback()


@pytest.fixture
def departures():
    return Departures(most=100)


def test_so_many_and_no_more(departures):
    first = Call()
    departures.count(60, first)
    departures.count(40, Call())
    with pytest.raises(TooMuchUnsent, match="try again later"):
        departures.count(1, Call())
    first.end()
    departures.count(60, Call())


def test_what_is_refused_is_not_counted(departures):
    for _ in range(3):
        with pytest.raises(TooMuchUnsent):
            departures.count(101, Call())
    departures.count(100, Call())


def test_a_call_that_is_over_already(departures):
    for _ in range(3):
        departures.count(100, Call(is_over=True))

"""Signs of life: how long a process has been silent, as the one that looks at it sees."""

import os

import pytest

from tests.waiting import wait_until
from workers.processes import signs
from workers.processes.signs import SignsOfLife, signs_given


class Clock:
    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now


class Looking:
    """Somebody who looks twice a second, and the descriptor of whom they look at."""

    def __init__(self):
        self.clock = Clock()
        self.signs = SignsOfLife(clock=self.clock)

    def give(self):
        os.write(self.signs.descriptor, b".")

    def silent(self, *, seconds):
        """How long the other one has been silent, after so many more seconds."""
        for _ in range(int(seconds * 2)):
            self.clock.now += 0.5
            found = self.signs.silent_seconds()
        return found


@pytest.fixture
def looking():
    looking = Looking()
    yield looking
    looking.signs.close()
    looking.signs.give_away()


def test_nobody_is_silent_before_the_first_sign(looking):
    assert looking.silent(seconds=300) == 0.0


def test_seconds_are_counted_from_the_last_sign(looking):
    looking.give()
    assert looking.silent(seconds=8) == 7.5
    looking.give()
    looking.give()
    assert looking.silent(seconds=4) == 3.5
    assert looking.silent(seconds=4) == 7.5


def test_a_pause_in_which_nobody_looked_is_nobodys_silence(looking):
    """Both may have been stopped: the one that looks goes on first."""
    looking.give()
    assert looking.silent(seconds=5) == 4.5
    looking.clock.now += 60
    assert looking.silent(seconds=2) == 1.5


def test_who_is_not_looked_at_any_more_is_not_silent(looking):
    looking.give()
    looking.silent(seconds=5)
    looking.signs.close()
    looking.signs.close()
    assert looking.silent(seconds=60) == 0.0


def test_they_are_given_inside_the_block(looking, monkeypatch):
    monkeypatch.setattr(signs, "_EVERY", 0.01)
    looking.give()
    with signs_given(looking.signs.descriptor):
        for _ in range(3):
            looking.silent(seconds=5)
            wait_until(lambda: looking.signs.silent_seconds() == 0.0)
    # Who has ended in order is not silent, however long the rest takes.
    assert looking.silent(seconds=60) == 0.0


def test_who_does_not_look_holds_nobody_up(looking):
    while True:
        try:
            os.write(looking.signs.descriptor, bytes(4_096))
        except BlockingIOError:
            break
    with signs_given(looking.signs.descriptor):
        pass
    looking.signs.close()
    with signs_given(looking.signs.descriptor), signs_given(None):
        pass

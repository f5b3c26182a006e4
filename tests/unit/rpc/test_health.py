"""Health follows the database, and not one slow answer of it."""

import pytest

from movieapp.catalogue.serving import health
from movieapp.catalogue.serving.health import HealthKeeper
from tests.waiting import wait_until


class Servicer:
    def __init__(self):
        self.told = []

    def tell(self, *, is_serving):
        self.told.append(is_serving)

    def enter_graceful_shutdown(self):
        self.told.append("for ever not")


@pytest.fixture
def servicer():
    return Servicer()


def test_two_misses_in_a_row_and_one_good_answer(servicer, monkeypatch):
    answers = iter([True, False, True, False, False, False, True])
    keeper = HealthKeeper(servicer, check=lambda: True)

    class Check:
        def answer(self, *, timeout):
            return next(answers)

    monkeypatch.setattr(keeper, "_check", Check())
    seen = []
    for _ in range(7):
        keeper.turn()
        seen.append(keeper.is_serving)
    assert seen == [True, True, True, True, False, False, True]
    assert servicer.told == [True, False, True]


def test_a_turn_that_fails_is_not_the_last_one(servicer, monkeypatch):
    monkeypatch.setattr(health, "_LOOK_EVERY", 0.01)
    turns = []

    def turn():
        turns.append(1)
        if len(turns) == 2:
            raise RuntimeError("can't start new thread")

    keeper = HealthKeeper(servicer, check=lambda: True)
    monkeypatch.setattr(keeper, "turn", turn)
    with keeper.kept():
        wait_until(lambda: len(turns) > 2)


def test_what_a_check_waits_for_is_given_up_after_each_that_fails(servicer, monkeypatch):
    answers, given_up = iter([True, False, True, False, False]), []
    keeper = HealthKeeper(servicer, check=lambda: True, give_up=lambda: given_up.append(1))

    class Check:
        def answer(self, *, timeout):
            return next(answers)

    monkeypatch.setattr(keeper, "_check", Check())
    seen = []
    for _ in range(5):
        keeper.turn()
        seen.append(len(given_up))
    assert seen == [0, 1, 1, 2, 3]


def test_a_database_that_is_away_at_the_start(servicer):
    keeper = HealthKeeper(servicer, check=lambda: False)
    with keeper.kept():
        assert not keeper.is_serving
    assert servicer.told == ["for ever not"]

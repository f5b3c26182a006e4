"""Where the group stands, looked at in another thread."""

import threading

import pytest

from tests.waiting import wait_until
from workers.ingestion.consuming.watching import watched_positions
from workers.ingestion.errors import StoreNotReady, StoreUnavailable


class FakeStore:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.closed = threading.Event()

    def positions(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed.set()


def test_a_store_that_comes_back_is_looked_at_again():
    store = FakeStore(StoreUnavailable("away"), {0: 1}, {0: 2})
    with watched_positions(store) as positions:
        wait_until(lambda: positions() == {0: 2})
    assert store.closed.wait(5)


def test_positions_of_a_store_that_went_away_are_not_shown_any_more():
    store = FakeStore({0: 1}, StoreUnavailable("away"))
    with watched_positions(store) as positions:
        wait_until(lambda: len(store.answers) == 1)
        wait_until(lambda: positions() is None)


@pytest.mark.parametrize("error", [StoreNotReady("run `manage.py migrate`"), ZeroDivisionError()])
def test_what_waiting_does_not_mend_is_raised_where_the_positions_are_asked_for(error):
    with watched_positions(FakeStore(error)) as positions, pytest.raises(type(error)):
        wait_until(positions)

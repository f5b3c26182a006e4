"""A letter that somebody else replays between one's look at it and one's own transaction is applied once."""

import threading
from typing import Any

import pytest
from django.db import connections

from tests.dead_letters import event, kept_letter
from tests.rating_tables import assert_consistent, rows
from workers.ingestion.dead_letters import settling
from workers.ingestion.dead_letters.settling import Outcome, letters_replay

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_letter_that_another_replay_takes_after_the_look_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [kept_letter(event(number, user=f"u{number}")).pk for number in range(3)]
    real, outcomes = settling.interning_share, []

    def replay(letter_ids: list[int]) -> None:
        try:
            outcomes.append([one.outcome for one in letters_replay(letter_ids=letter_ids)])
        finally:
            connections.close_all()

    def overtaken(cursor: Any) -> None:
        monkeypatch.setattr(settling, "interning_share", real)
        other = threading.Thread(target=replay, args=[ids[:2]])
        other.start()
        other.join(30)
        real(cursor)

    monkeypatch.setattr(settling, "interning_share", overtaken)
    replay(ids)
    assert outcomes == [[Outcome.APPLIED, Outcome.APPLIED], [Outcome.GONE, Outcome.GONE, Outcome.APPLIED]]
    assert rows("SELECT count(*) FROM ingestion_deadletter") == [(0,)]
    assert_consistent()

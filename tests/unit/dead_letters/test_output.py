"""What a terminal shows of letters and of runs over them."""

import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from workers.ingestion.dead_letters.selectors import HIGHEST_COUNT, LetterFilter, LetterPage
from workers.ingestion.dead_letters.settling import Outcome, Settled
from workers.ingestion.errors import StoreUnavailable
from workers.ingestion.management.dead_letter_output import more_in_words, table
from workers.ingestion.management.dead_letter_runs import Run, Stopped, settle_named
from workers.ingestion.models import DeadLetter


def letter(number: int, **fields: object) -> DeadLetter:
    return DeadLetter(
        pk=number,
        **{"group": "rating", "topic": "ratings", "partition": 3, "offset": number, "reason": "r" * 200, **fields},
    )


def test_a_table_is_as_wide_as_the_terminal_and_has_a_line_for_a_letter() -> None:
    letters = [
        letter(41, timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC), field="userId"),
        letter(7, reason="a\nb\x1b[2J"),
    ]
    narrow = list(table(LetterPage(letters, 0), width=80))
    assert [len(line) for line in narrow[:2]] == [69, 80]
    assert narrow[1].endswith("…")
    assert "2026-01-31 12:00:00" in narrow[1]
    assert narrow[2].endswith(r"a\nb\x1b[2J")
    whole = list(table(LetterPage(letters, 0), width=None))
    assert whole[1].endswith("r" * 200)
    assert list(table(LetterPage([], 0), width=80)) == ["No dead letters."]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (0, ""),
        (3, "3 older ones: --before 7 shows them."),
        (HIGHEST_COUNT, "10,000 or more older ones: --before 7 shows them."),
    ],
)
def test_what_is_left_out_is_told(more: int, words: str) -> None:
    assert more_in_words(LetterPage([letter(41), letter(7)], more)) == words


def test_the_later_letter_comes_first_and_each_only_once() -> None:
    seen: list[int] = []

    def settle(ids: Sequence[int]) -> list[Settled]:
        seen.extend(ids)
        return [Settled(one, Outcome.APPLIED) for one in ids]

    said: list[str] = []
    assert settle_named(Run("Replay", settle), [3, 1, 3, 2], say=said.append) == 0
    assert seen == [3, 2, 1]
    assert said == ["3: applied", "2: applied", "1: applied"]


def test_a_signal_ends_a_run_between_two_parts() -> None:
    parts: list[Sequence[int]] = []

    def settle(ids: Sequence[int]) -> list[Settled]:
        parts.append(ids)
        os.kill(os.getpid(), signal.SIGINT)
        return [Settled(one, Outcome.DISCARDED) for one in ids]

    assert settle_named(Run("Discard", settle), range(1, 1_000), say=lambda _line: None) == 130
    assert len(parts) == 1


def test_a_database_that_fails_in_the_middle_says_what_was_done_before() -> None:
    def settle(ids: Sequence[int]) -> list[Settled]:
        if 1 in ids:
            raise StoreUnavailable("server closed the connection")
        return [Settled(one, Outcome.APPLIED) for one in ids]

    with pytest.raises(Stopped, match=r"server closed the connection\. Before that: 100 applied\. The other letters"):
        settle_named(Run("Replay", settle), range(1, 150), say=lambda _line: None)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.GONE])
def test_one_that_failed_or_is_gone_makes_the_exit_code_1(outcome: Outcome) -> None:
    assert settle_named(Run("Replay", lambda ids: [Settled(one, outcome) for one in ids]), [1], say=print) == 1


def test_no_filter_is_every_letter() -> None:
    assert not LetterFilter().letters().query.where

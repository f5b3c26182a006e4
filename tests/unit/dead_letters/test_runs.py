"""Replays and discards as a command does them: where it says what, and its last words."""

import io
import os
import signal
from collections.abc import Sequence

import pytest

from workers.ingestion.dead_letters.settling import Outcome, Settled
from workers.ingestion.management.dead_letter_runs import Run, settle_named


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _refused(ids: Sequence[int]) -> list[Settled]:
    return [Settled(one, Outcome.FAILED, reason="no [bold] number") for one in ids]


def test_who_is_stopped_is_told_how_many_letters_were_not_tried() -> None:
    def settle(ids: Sequence[int]) -> list[Settled]:
        os.kill(os.getpid(), signal.SIGTERM)
        return [Settled(one, Outcome.APPLIED) for one in ids]

    said: list[str] = []
    assert settle_named(Run("Replay", settle), range(1, 251), say=said.append) == 128 + signal.SIGTERM
    assert said[-1] == "Replay: 100 applied; 150 not tried, and as they were."


@pytest.mark.parametrize("is_piped", [False, True])
def test_a_failure_is_a_line_above_the_bar_that_shares_its_terminal(
    monkeypatch: pytest.MonkeyPatch, is_piped: bool
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("sys.stdout", io.StringIO() if is_piped else terminal)
    said: list[str] = []
    assert settle_named(Run("Replay", _refused), [7], say=said.append) == 1
    assert said == (["7: failed: no [bold] number"] if is_piped else [])
    before, found, after = terminal.getvalue().partition("7: failed: no [bold] number\n")
    assert bool(found) is not is_piped
    if found:
        assert before.endswith("\x1b[2K")  # the bar is taken away first …
        assert "Replay" in after  # … and drawn again below

"""Replays and discards as a command does them: part by part, shown while they go on, ended between two parts."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from movieapp.progress import shown_progress
from movieapp.words import counted
from workers.ingestion.dead_letters.selectors import LetterFilter, latest_id, letter_chunks
from workers.ingestion.dead_letters.settling import Outcome, Settled
from workers.ingestion.errors import IngestionError
from workers.ingestion.management.dead_letter_output import outcome_line, outcomes_in_words
from workers.shutdown import two_stage_shutdown

_SHOWN_FAILURES = 20
_NAMED_AT_ONCE = 100

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Run:
    """Something to do with letters, part by part: `verb` is what it is called, in the infinitive."""

    verb: str
    settle: Callable[[Sequence[int]], Sequence[Settled]]


class Stopped(IngestionError):
    """The run could not go on: what was not settled yet is as it was."""


def settle_named(run: Run, letter_ids: Sequence[int], *, say: Say) -> int:
    """Settles these letters and says of each what became of it; the exit code: 0, or 1 when one failed or is gone.

    128 + signal when a signal ended it before the end. Raises Stopped.
    """
    # The later first, as in a run over all: a write of the same time that stands is taken as the later one.
    ids = sorted(set(letter_ids), reverse=True)
    parts = (ids[at : at + _NAMED_AT_ONCE] for at in range(0, len(ids), _NAMED_AT_ONCE))
    tally = _Tally(say=say, shown=frozenset(Outcome))
    code = _work_through(run, parts, len(ids), tally)
    if code:
        say(_last_words(run, len(ids), tally))
    return code or int(tally.counts[Outcome.FAILED] + tally.counts[Outcome.GONE] > 0)


def settle_matching(run: Run, wanted: LetterFilter, *, say: Say, ask: Callable[[str], None]) -> int:
    """Settles all that match now, and says which failed; the exit code as `settle_named` gives it.

    `ask` is given the question before anything is touched, and raises what ends the command. Raises Stopped.
    """
    letters = wanted.letters()
    up_to = latest_id(letters)
    count = letters.filter(pk__lte=up_to).count()
    if not count:
        say("No dead letters match.")
        return 0
    ask(f"{run.verb} {counted(count, 'dead letter')}?")
    tally = _Tally(say=say, shown=frozenset({Outcome.FAILED}), most=_SHOWN_FAILURES)
    code = _work_through(run, letter_chunks(letters, up_to=up_to), count, tally)
    say(_last_words(run, count if code else 0, tally))
    return code or int(tally.counts[Outcome.FAILED] > 0)


@dataclass(slots=True)
class _Tally:
    """Counts outcomes and says those of a kind, `most` of them at most."""

    say: Say
    shown: frozenset[Outcome]
    most: int | None = None
    counts: Counter[Outcome] = field(default_factory=Counter)
    _said: int = 0

    def add(self, settled: Sequence[Settled]) -> None:
        for one in settled:
            self.counts[one.outcome] += 1
            if one.outcome in self.shown and self._said != self.most:
                self._said += 1
                self.say(outcome_line(one))
                if self._said == self.most:
                    self.say("… more are not shown: `manage.py dead_letters list` has their reasons.")


def _last_words(run: Run, count: int, tally: _Tally) -> str:
    """What was done, and how many of `count` letters were not tried."""
    left = count - tally.counts.total()
    not_tried = f"; {left:,} not tried, and as they were" if left > 0 else ""
    return f"{run.verb}: {outcomes_in_words(tally.counts)}{not_tried}."


def _work_through(run: Run, parts: Iterable[Sequence[int]], count: int, tally: _Tally) -> int:
    shares_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    with (
        two_stage_shutdown(first_words="Finishing the letters in hand.") as shutdown,
        shown_progress(title=run.verb, unit="letters", stream=sys.stderr) as meter,
    ):
        if shares_terminal:
            tally.say = meter.say  # a line of standard output's own would stand in the middle of the bar
        for part in parts:
            if shutdown.is_requested:
                return shutdown.exit_code
            try:
                tally.add(run.settle(part))
            except IngestionError as error:
                raise Stopped(
                    f"{error}. Before that: {outcomes_in_words(tally.counts)}. The other letters are as they were."
                ) from error
            meter.update(count=tally.counts.total(), share=min(1.0, tally.counts.total() / count))
    return 0

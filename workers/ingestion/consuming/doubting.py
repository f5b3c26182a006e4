"""After a write that failed for good each batch is tried out before it is risked: a store may answer and not write."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass

from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.breaker import Allowance
from workers.ingestion.consuming.store import IngestionStore


@dataclass(frozen=True, slots=True)
class _Trial:
    batch: Batch
    outcome: Future[None]


class Doubt:
    """Whether the store writes, of which nothing else that it answers is a sign; a trial is done in `executor`."""

    def __init__(self, *, store: IngestionStore, executor: Executor) -> None:
        self.is_there = False
        """To be set when a write was passed over; until one with ratings has succeeded."""
        self._store = store
        self._executor = executor
        self._trial: _Trial | None = None
        self._tried: Batch | None = None

    @property
    def trial(self) -> Future[None] | None:
        """The end of the trial under way."""
        return None if self._trial is None else self._trial.outcome

    def written(self, batch: Batch) -> None:
        """Ends with a rating that was written; to pass over a batch writes none."""
        if any(part.events for part in batch):
            self.is_there = False

    def failed(self) -> None:
        """What was tried before is no sign any more."""
        self._tried = None

    def allows(self, batch: Batch, allowance: Allowance) -> bool:
        """True without a doubt, or of a batch that was tried out; begins a trial otherwise, and is False."""
        if not self.is_there or self._tried is batch:
            return True
        outcome = self._executor.submit(lambda: self._store.try_out(batch, allowance=allowance))
        self._trial = _Trial(batch, outcome)
        return False

    def settle(self) -> None:
        """Takes note of the end of a trial. Raises what it has raised."""
        if self._trial is not None and self._trial.outcome.done():
            trial, self._trial = self._trial, None
            trial.outcome.result()
            self._tried = trial.batch

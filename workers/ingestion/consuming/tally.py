"""What a process has done since its start, counted batch by batch."""

from dataclasses import dataclass

from workers.ingestion.consuming.batch import Batch
from workers.ingestion.consuming.store import Applied


@dataclass(slots=True)
class Tally:
    """What this process has done since its start; `write_seconds` is the last batch's.

    `skipped` counts offsets that at-most-once passed over for good, as far as the store has heard of them.
    """

    applied: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    batches: int = 0
    last_batch: int = 0
    write_seconds: float = 0.0

    def count(self, batch: Batch, applied: Applied, *, seconds: float) -> None:
        """Adds a batch that was written in `seconds`."""
        letters = batch.letters + applied.refused
        self.applied += batch.messages - letters
        self.dead_lettered += letters
        self.skipped += applied.skipped
        self.batches += 1
        self.last_batch = batch.messages
        self.write_seconds = seconds

"""The rating tables in memory: the same operations as the write path, for unit tests and as its plain model.

One process, one thread; what `ratings.services` promises about the result holds here by being obvious.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ratings.events import RatingEvent

RatingKey = tuple[str, str, str, str]
"""Record type, record id, provider id, user id."""


@dataclass(frozen=True, slots=True)
class StandingRating:
    """What stands for one key: tenths, or None for a tombstone, and since when (microseconds since the Unix epoch)."""

    tenths: int | None
    written_at: int


class MemoryRatings:
    """A last-writer-wins register per rating. `clock` gives now, in microseconds since the Unix epoch."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self._standing: dict[RatingKey, StandingRating] = {}

    def write(self, events: Sequence[RatingEvent], times: Sequence[int]) -> None:
        """Applies events with their times, one by one: a write that is older than what stands there is dropped."""
        for event, time in zip(events, times, strict=True):
            standing = self._standing.get(_key(event))
            if standing is None or time >= standing.written_at:
                self._standing[_key(event)] = StandingRating(event.tenths, time)

    def write_now(self, events: Sequence[RatingEvent]) -> None:
        """Applies the last event of each rating as of now, or just after what stands there if that is later."""
        now = self.clock()
        for event in {_key(event): event for event in events}.values():
            standing = self._standing.get(_key(event))
            time = now if standing is None else max(now, standing.written_at + 1)
            self._standing[_key(event)] = StandingRating(event.tenths, time)

    def erase(self, *, provider_id: str, user_id: str) -> int:
        """Removes one person's ratings and tombstones, as one provider knows them; returns how many ratings."""
        person = [key for key in self._standing if key[2:] == (provider_id, user_id)]
        erased = [self._standing.pop(key) for key in person]
        return sum(standing.tenths is not None for standing in erased)

    def aggregate(self, *, record_type: str, record_id: str) -> tuple[int, int] | None:
        """Count and sum, in tenths, of the record's ratings; None when nobody has rated it (any more)."""
        return self.aggregates().get((record_type, record_id))

    def aggregates(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Count and sum, in tenths, by record type and id; records without a rating are left out."""
        totals: dict[tuple[str, str], tuple[int, int]] = {}
        for key, standing in self._standing.items():
            if standing.tenths is not None:
                count, total = totals.get(key[:2], (0, 0))
                totals[key[:2]] = (count + 1, total + standing.tenths)
        return totals

    def standing(self) -> dict[RatingKey, StandingRating]:
        """Everything that stands, tombstones included."""
        return dict(self._standing)


def _key(event: RatingEvent) -> RatingKey:
    return (event.record_type, event.record_id, event.provider_id, event.user_id)

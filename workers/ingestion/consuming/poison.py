"""Events that are valid and that the database refuses all the same: finding them, and making them dead letters.

A deployment may know more about its data than the contract does: a constraint, a trigger or a domain of its own. One
statement writes a whole batch, so one refused row refuses all; which row it is can only be found by trying. Who is
refused alone can be asked for at the price of one batch, however many there are; halving finds the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from workers.ingestion.consuming.batch import Batch, Slice, letter_of
from workers.ingestion.postgres_errors import Refusal

Trial = Callable[[Sequence[int]], Refusal | None]
"""Tries to write the events of these numbers together, leaves no trace, and tells the refusal if there is one."""

Suspects = Callable[[Sequence[int]], Sequence[int]]
"""Those of the events of these numbers that may be refused alone; asked again, only those not yet looked at."""


def find_refused(count: int, trial: Trial, *, most: int, suspects: Suspects = lambda _: ()) -> dict[int, Refusal]:
    """Numbers of the events, of `count`, without which the database takes the others, each with its refusal.

    One trial for each that is suspected rightly, some 2 log₂(count) for any other. Several for one rating count as one
    write in a trial, as they do in the end, so an event that is never written is never refused. Once more than `most`
    are found the search ends; what it returns is not complete then.
    """
    search = _Search(trial, most)
    everything = range(count)
    left: Sequence[int] = everything
    while left and len(search.refused) <= most:
        refusal = trial(left)
        if refusal is None:
            break
        if not search.confirm(suspects(left)):
            search.narrow(left, refusal)
        left = [number for number in everything if number not in search.refused]
    return search.refused


def set_aside(batch: Batch, refused: Mapping[int, Refusal]) -> Batch:
    """The batch with the refused events, numbered through all its slices, as dead letters."""
    parts, first = [], 0
    for part in batch:
        end = first + len(part.events)
        parts.append(_set_aside(part, {number - first: refused[number] for number in refused if first <= number < end}))
        first = end
    return Batch(parts)


class _Search:
    def __init__(self, trial: Trial, most: int) -> None:
        self.refused: dict[int, Refusal] = {}
        self._trial = trial
        self._most = most

    def confirm(self, suspects: Sequence[int]) -> bool:
        """Tries the suspects alone; whether any of them is refused."""
        found = len(self.refused)
        for number in suspects:
            if len(self.refused) > self._most:
                break
            refusal = self._trial([number])
            if refusal is not None:
                self.refused[number] = refusal
        return len(self.refused) > found

    def narrow(self, part: Sequence[int], refusal: Refusal) -> None:
        """Finds at least one event of `part`, which was refused as a whole."""
        if len(part) == 1:
            self.refused[part[0]] = refusal
            return
        middle = len(part) // 2
        are_refused = [self._narrow_if_refused(half) for half in (part[:middle], part[middle:])]
        if not any(are_refused):
            self._find_last_straw(part, refusal)

    def _narrow_if_refused(self, half: Sequence[int]) -> bool:
        if len(self.refused) > self._most:
            return True
        refusal = self._trial(half)
        if refusal is not None:
            self.narrow(half, refusal)
        return refusal is not None

    def _find_last_straw(self, part: Sequence[int], refusal: Refusal) -> None:
        """Both halves are taken and the whole is not, as with a limit on a sum: the event that goes over it."""
        taken, too_many = len(part) // 2, len(part)
        while too_many - taken > 1:
            middle = (taken + too_many) // 2
            found = self._trial(part[:middle])
            if found is None:
                taken = middle
            else:
                too_many, refusal = middle, found
        self.refused[part[too_many - 1]] = refusal


def _set_aside(part: Slice, refused: Mapping[int, Refusal]) -> Slice:
    if not refused:
        return part
    kept = [place for place in range(len(part.events)) if place not in refused]
    letters = [
        letter_of(part.messages[place], part.times[place], field=refusal.field, reason=refusal.reason)
        for place, refusal in refused.items()
    ]
    return replace(
        part,
        events=[part.events[place] for place in kept],
        times=[part.times[place] for place in kept],
        messages=[part.messages[place] for place in kept],
        letters=sorted([*part.letters, *letters], key=lambda letter: letter.offset),
    )

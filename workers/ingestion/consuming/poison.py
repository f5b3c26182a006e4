"""Events that are valid and that the database refuses all the same: finding them, and making them dead letters.

A deployment may know more about its data than the contract does: a constraint, a trigger or a domain of its own. One
statement writes a whole batch, so one refused row refuses all; which row it is can only be found by trying. Halving
finds few at the price of few trials. Who is refused alone can be asked for as well: that costs the server something for
each event, so the more are found the more are asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from workers.ingestion.consuming.batch import Batch, Slice, letter_of
from workers.ingestion.postgres_errors import Refusal

# Asked for by themselves, for each refused one; halving on to the last would take twice log₂ of it in trials instead.
_ASKED_FOR_EACH = 256
# Refused on their own, so many are tried once more among all that is taken: each costs a trial of everything.
_MOST_RECONSIDERED = 4

Trial = Callable[[Sequence[int]], Refusal | None]
"""Tries to write the events of these numbers together, leaves no trace, and tells the refusal if there is one."""

Suspects = Callable[[Sequence[int]], Sequence[int]]
"""Those of the events of these numbers that may be refused alone; asked again, only those not yet looked at."""


def find_refused(count: int, trial: Trial, *, most: int, suspects: Suspects = lambda _: ()) -> dict[int, Refusal]:
    """Numbers of the events, of `count`, without which the database takes the others, each with its refusal.

    Some 2 log₂(count) trials for each, and of at most 256 events for each is it asked who is suspected. Several for one
    rating count as one write in a trial, as they do in the end, so an event that is never written is never refused. An
    event that is only taken after another one of the batch is taken, unless more than 4 are refused. Once more than
    `most` are found the search ends; what it returns is not complete then.
    """
    search = _Search(trial, suspects, most)
    everything = range(count)
    left: Sequence[int] = everything
    while left and not search.is_over:
        refusal = trial(left)
        if refusal is None:
            break
        search.narrow(left, refusal)
        left = [number for number in everything if number not in search.refused]
    if 1 < len(search.refused) <= _MOST_RECONSIDERED and not search.is_over:
        search.reconsider(left)
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
    def __init__(self, trial: Trial, suspects: Suspects, most: int) -> None:
        self.refused: dict[int, Refusal] = {}
        self._trial = trial
        self._suspects = suspects
        self._most = most
        self._asked = 0

    @property
    def is_over(self) -> bool:
        return len(self.refused) > self._most

    def narrow(self, part: Sequence[int], refusal: Refusal) -> None:
        """Finds at least one event of `part`, which was refused as a whole."""
        if len(part) == 1:
            self.refused[part[0]] = refusal
            return
        if self._confirm(part):
            return
        middle = len(part) // 2
        are_refused = [self._narrow_if_refused(half) for half in (part[:middle], part[middle:])]
        if not any(are_refused):
            self._find_last_straw(part, refusal)

    def reconsider(self, taken: Sequence[int]) -> None:
        """Takes back each refused one that is taken together with all of `taken`, and then with those taken back."""
        for number in sorted(self.refused):
            together = sorted([*taken, number])
            refusal = self._trial(together)
            if refusal is None:
                del self.refused[number]
                taken = together
            else:
                self.refused[number] = refusal

    def _confirm(self, part: Sequence[int]) -> bool:
        """Tries those that are suspected alone, where it may be asked for them; whether any of them is refused."""
        found = len(self.refused)
        if len(part) > _ASKED_FOR_EACH * (found + 1) - self._asked:
            return False
        self._asked += len(part)
        for number in self._suspects(part):
            if self.is_over:
                break
            refusal = self._trial([number])
            if refusal is not None:
                self.refused[number] = refusal
        return len(self.refused) > found

    def _narrow_if_refused(self, half: Sequence[int]) -> bool:
        if self.is_over:
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

"""When a member is hit: seeded moments spread over what a consumer does."""

import random
import time
from collections.abc import Callable

from tests.acceptance.kills.crew import Crew, Member
from tests.acceptance.kills.watch import COMMITTING, WRITING, Watch
from tests.waiting import wait_until

_PATIENCE = 90.0


class Moments:
    """Hits members one after the other; every kind of moment comes up equally often, in a seeded order."""

    def __init__(self, crew: Crew, watch: Watch, *, seed: int) -> None:
        self.seen: list[str] = []
        self._crew = crew
        self._watch = watch
        self._random = random.Random(seed)
        self._kinds: dict[str, Callable[[Callable[[Member], None]], None]] = {
            "fetching": self._while_fetching,
            "writing": lambda hit: self.strike_at(WRITING, hit),
            "committing": lambda hit: self.strike_at(COMMITTING, hit),
            "written": self._once_written,
            "joining": self._while_joining,
        }
        self._left: list[str] = []

    def strike(self, hit: Callable[[Member], None]) -> None:
        """Waits for the next moment and calls `hit` with whoever it is that has it."""
        if not self._left:
            self._left = self._random.sample(list(self._kinds), k=len(self._kinds))
        kind = self._left.pop()
        self._kinds[kind](hit)
        self.seen.append(kind)

    def strike_at(self, gate: int, hit: Callable[[Member], None]) -> None:
        """Hits whoever is next in the middle of the transaction, or inside its COMMIT, which the server ends alone."""
        with self._watch.held_up(gate):
            hit(wait_until(lambda: self._first_at(gate), _PATIENCE, message=self._crew.story))

    def _while_fetching(self, hit: Callable[[Member], None]) -> None:
        """After some more events, whatever it does just then."""
        goal = (self._watch.position() or 0) + self._random.randrange(1, 1_500)
        self._watch.wait_for_position(goal, _PATIENCE, self._crew.story)
        hit(self._random.choice(self._crew.members))

    def _first_at(self, gate: int) -> Member | None:
        found = [self._crew.named(name) for name in self._watch.waiting_at(gate)]
        return next((member for member in found if member is not None), None)

    def _once_written(self, hit: Callable[[Member], None]) -> None:
        """Just after a commit, before or while its consumer tells Kafka."""
        while (member := self._crew.named(self._watch.next_to_commit())) is None:
            pass  # one that was killed inside its COMMIT
        hit(member)

    def _while_joining(self, hit: Callable[[Member], None]) -> None:
        """The newest, some time into its start."""
        time.sleep(self._random.uniform(0.0, 1.2))
        hit(self._crew.members[-1])

"""The wish that a process ends, seen also by whoever waits for the database: from then on that gets less time."""

from collections.abc import Callable

from workers.clock import Clock


class Stopping:
    """Whether the end was asked for, and since when it is known."""

    def __init__(self, clock: Clock) -> None:
        self.wish: Callable[[], bool] = lambda: False
        """True from when the end is asked for."""
        self._clock = clock
        self._since: float | None = None

    def look(self) -> bool:
        """Looks whether the end is asked for; to be called a few times a second by whoever waits."""
        if self._since is None and self.wish():
            self._since = self._clock.seconds()
        return self._since is not None

    def deadline(self, seconds: float) -> float:
        """So many seconds from now or, once that is known, from when the end was asked for."""
        self.look()
        return seconds + (self._clock.seconds() if self._since is None else self._since)

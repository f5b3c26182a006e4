"""How long to wait before trying again, and how often trying again is too often."""

import random
from collections import deque

from workers.clock import Clock


class Backoff:
    """Delays that double from `first` to `most` seconds, each shortened at random by up to half."""

    def __init__(self, *, first: float, most: float, clock: Clock) -> None:
        self.attempts = 0
        self._first = first
        self._most = most
        self._clock = clock
        self._until = 0.0

    def begin(self) -> float:
        """Starts the next delay and returns its seconds."""
        delay = min(self._first * 2.0**self.attempts, self._most) * random.uniform(0.5, 1.0)
        self.attempts = min(self.attempts + 1, 30)
        self._until = self._clock.seconds() + delay
        return delay

    def is_over(self) -> bool:
        """True when no delay is running."""
        return self._clock.seconds() >= self._until

    def reset(self) -> None:
        """After a success: the next delay is the first again."""
        self.attempts = 0
        self._until = 0.0


class RateLimit:
    """At most `most` times in any `seconds`."""

    def __init__(self, *, most: int, seconds: float, clock: Clock) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._times: deque[float] = deque()

    def allow(self) -> bool:
        """Counts one more and says whether it is within the limit."""
        now = self._clock.seconds()
        while self._times and now - self._times[0] > self._seconds:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self._most

    def forgive(self) -> None:
        """Takes the last one back: it did not get as far as what is limited."""
        self._times.pop()

"""A worker's sense of time, handed in, so that a test lives through an hour of outages at once."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a loop has its time from."""

    def seconds(self) -> float:
        """Seconds since any fixed moment; never goes back."""

    def microseconds(self) -> int:
        """Microseconds since the Unix epoch."""

    def sleep(self, seconds: float) -> None:
        """Returns once that many seconds are over."""


class SystemClock:
    """The machine's own clock."""

    def seconds(self) -> float:
        """See Clock.seconds."""
        return time.monotonic()

    def microseconds(self) -> int:
        """See Clock.microseconds."""
        return time.time_ns() // 1000

    def sleep(self, seconds: float) -> None:
        """See Clock.sleep."""
        time.sleep(seconds)

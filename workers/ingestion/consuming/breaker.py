"""The breaker on dead letters: a topic that suddenly carries something else is a matter for people, not for letters."""

import math
from collections import deque
from dataclasses import dataclass

from workers.ingestion.consuming.batch import Batch
from workers.ingestion.errors import TooManyDeadLetters

DEFAULT_RATIO = 0.1
"""One dead letter in ten messages."""

_FEWEST_MESSAGES = 1_000
_FEWEST_LETTERS = 100
_WINDOW = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many dead letters one batch may bring, as the messages just before it are counted too.

    `messages` are those of the window, the batch's included; `letters` those that were kept of the ones before it. Of a
    batch that the window cuts they are in proportion.
    """

    ratio: float
    messages: int
    letters: int

    @classmethod
    def unlimited(cls, messages: int) -> "Allowance":
        """Any share of dead letters in so many messages."""
        return cls(ratio=1.0, messages=messages, letters=0)

    @property
    def most(self) -> int:
        """The most dead letters that the batch may bring; 0 stops at the first."""
        if self.messages < _FEWEST_MESSAGES:
            return self.messages
        most = max(_FEWEST_LETTERS - 1, math.floor(self.ratio * self.messages + 1e-9))
        return max(0, most - self.letters)

    def check(self, batch: Batch) -> None:
        """Raises TooManyDeadLetters when the batch brings more; it must not be written then."""
        if batch.letters <= self.most:
            return
        part, letter = next((part, letter) for part in batch for letter in part.letters)
        what = f"{letter.field}: {letter.reason}" if letter.field else letter.reason
        raise TooManyDeadLetters(
            f"Some {self.letters + batch.letters} or more of the last {self.messages} messages cannot be applied: more "
            f"than the share of {self.ratio:g} that is tolerated. The next of them is offset {letter.offset} of "
            f"partition {part.partition} ({what})."
        )


class DeadLetterBreaker:
    """Weighs each batch together with the messages just before it, 10,000 in all if there were so many.

    It trips at 100 dead letters or more in 1,000 messages or more if they are more than `ratio` (above 0, at most 1)
    of them. A batch of 10,000 or more is weighed by itself. What was counted is forgotten with the process.
    """

    def __init__(self, ratio: float = DEFAULT_RATIO) -> None:
        self._ratio = ratio
        self._batches: deque[tuple[int, int]] = deque()
        self._messages = 0
        self._letters = 0

    def allowance(self, messages: int) -> Allowance:
        """What a next batch of so many messages may bring."""
        weighed, letters = self._messages + messages, self._letters
        for old_messages, old_letters in self._batches:
            if weighed <= _WINDOW:
                break
            outside = min(weighed - _WINDOW, old_messages)
            weighed -= outside
            letters -= math.ceil(old_letters * outside / old_messages)
        return Allowance(ratio=self._ratio, messages=weighed, letters=letters)

    def count(self, *, messages: int, letters: int) -> None:
        """Takes note of a batch that was written."""
        if not messages:
            return
        self._batches.append((messages, letters))
        self._messages += messages
        self._letters += letters
        while self._messages - self._batches[0][0] >= _WINDOW:
            oldest_messages, oldest_letters = self._batches.popleft()
            self._messages -= oldest_messages
            self._letters -= oldest_letters

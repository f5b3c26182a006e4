"""What became of the messages of one producer: acknowledged offsets, failures, and how far all before is settled."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Batch:
    """Messages sent one after the other from `place` on, which is the caller's own word for where that is."""

    place: object
    unsettled: int = 0


@dataclass(slots=True)
class _Span:
    """Acknowledged offsets of one partition that follow each other: `first` up to, not including, `end`."""

    first: int
    end: int


@dataclass(slots=True)
class Deliveries:
    """Delivery reports added up. Memory does not grow with the messages: offsets are kept as spans.

    A span ends where another producer wrote in between, so there is at most one for each request to a broker.
    """

    acknowledged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Messages that Kafka did not take, by reason."""
    unknown: int = 0
    """Messages that were given up on without an answer: they may have arrived or not."""
    _batches: deque[Batch] = field(default_factory=deque)
    _last: dict[int, _Span] = field(default_factory=dict)
    _spans: dict[int, list[_Span]] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Messages that are not known to be in Kafka though no answer about them is awaited any more."""
        return self.unknown + self.refused.total()

    def begin(self, place: object) -> Batch:
        """A batch for the messages from now on. Forgets the batches at the front that are acknowledged completely."""
        batches = self._batches
        while batches and not batches[0].unsettled:
            batches.popleft()
        batch = Batch(place)
        batches.append(batch)
        return batch

    def first_unacknowledged(self) -> object | None:
        """The place of the first batch that is not acknowledged completely; None when all are."""
        return next((batch.place for batch in self._batches if batch.unsettled), None)

    def acknowledge(self, batch: Batch, partition: int, offset: int) -> None:
        """One message of `batch` is in Kafka at `offset`, durably."""
        self.acknowledged += 1
        batch.unsettled -= 1
        span = self._last.get(partition)
        if span is not None and span.end == offset:
            span.end = offset + 1
        else:
            self._last[partition] = span = _Span(offset, offset + 1)
            self._spans.setdefault(partition, []).append(span)

    def refuse(self, reason: str) -> None:
        """One message is not in Kafka and never will be. Its batch stays unacknowledged."""
        self.refused[reason] += 1

    def give_up(self) -> None:
        """One message will get no answer. Its batch stays unacknowledged."""
        self.unknown += 1

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Partition, first and last offset (included) of each run of acknowledged messages, by partition."""
        for partition in sorted(self._spans):
            for span in self._spans[partition]:
                yield partition, span.first, span.end - 1

    def ends(self) -> dict[int, int]:
        """Per partition that got messages, the offset after the last one acknowledged."""
        return {partition: span.end for partition, span in self._last.items()}

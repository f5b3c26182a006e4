"""What one run has measured, as ratios to the reference: tables for a terminal and for a README, JSON for programs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from tests.bench.ingest.measuring import Figures
from tests.bench.ingest.variants import REFERENCE, Variant

_HEADINGS = ("what", "events/s", "lowest to highest", "ratio", "steady", "ratio", "CPU µs/event", "MB", "")
_COMPARISONS = (
    ("puts only, beside Pathway's default", "puts", "pathway"),
    ("the same, two processes beside two threads", "puts-2", "pathway-2"),
    ("puts only, beside Pathway with the last value", "puts", "pathway-correct"),
    ("the same, two processes beside two threads", "puts-2", "pathway-correct-2"),
    ("into the prefilled table, beside an empty one", "prefilled", REFERENCE),
    ("into the prefilled table, beside an empty one whose ids are known", "prefilled", "known-ids"),
    ("at-least-once, beside exactly-once", "at-least-once", REFERENCE),
)


@dataclass(frozen=True, slots=True)
class Line:
    """The rounds of one variant. `ratio` is the median of each round's own; None where the reference was left out.

    Rates are events a second, CPU is microseconds an event, memory is megabytes.
    """

    name: str
    title: str
    kind: str
    rate: float
    lowest: float
    highest: float
    ratio: float | None
    steady: float | None
    steady_ratio: float | None
    cpu: float
    peak: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many times one is as fast as the other, by the median of the rounds: whole, and steady where both are."""

    title: str
    whole: float
    steady: float | None


class Report:
    """Collects round by round."""

    def __init__(self, variants: Sequence[Variant], *, events: int) -> None:
        self._variants = variants
        self._events = events
        self._rounds: defaultdict[str, list[Figures]] = defaultdict(list)

    def add(self, variant: Variant, figures: Figures) -> None:
        """One measurement of the round that is going on."""
        self._rounds[variant.name].append(figures)

    def lines(self) -> list[Line]:
        """Every variant that was measured."""
        return [self._line(variant, found) for variant in self._variants if (found := self._rounds[variant.name])]

    def as_json(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """The lines, and each measurement as it was taken."""
        rounds = {name: [asdict(figures) for figures in found] for name, found in self._rounds.items() if found}
        return {
            **about,
            "lines": [asdict(line) for line in self.lines()],
            "comparisons": [asdict(comparison) for comparison in self.comparisons()],
            "rounds": rounds,
        }

    def comparisons(self) -> list[Comparison]:
        """Those of which both sides were measured."""
        found = []
        for title, one, other in _COMPARISONS:
            if pairs := self._pairs(one, other):
                found.append(Comparison(title, median(_whole_ratios(pairs)), _median(_steady_ratios(pairs))))
        return found

    def _pairs(self, one: str, other: str) -> list[tuple[Figures, Figures]]:
        """Of each round that has both."""
        return list(zip(self._rounds[one], self._rounds[other], strict=False))

    def _line(self, variant: Variant, found: list[Figures]) -> Line:
        rates = [figures.rate for figures in found]
        peaks = [figures.peak for figures in found if figures.peak is not None]
        pairs = self._pairs(variant.name, REFERENCE)
        return Line(
            name=variant.name,
            title=variant.title,
            kind=variant.kind,
            rate=median(rates),
            lowest=min(rates),
            highest=max(rates),
            ratio=_median(_whole_ratios(pairs)),
            steady=_median([figures.steady for figures in found if figures.steady is not None]),
            steady_ratio=_median(_steady_ratios(pairs)),
            cpu=median(figures.cpu_seconds for figures in found) / self._events * 1e6,
            peak=max(peaks) / 1e6 if peaks else None,
            note="; ".join(sorted({figures.note for figures in found if figures.note})),
        )


def table(lines: Sequence[Line], *, title: str) -> Table:
    """For a terminal."""
    shown = Table(title=title)
    for place, heading in enumerate(_HEADINGS):
        shown.add_column(heading, no_wrap=True, justify="right" if 0 < place < len(_HEADINGS) - 1 else "left")
    for line in lines:
        shown.add_row(*_cells(line))
    return shown


def markdown(lines: Sequence[Line], comparisons: Sequence[Comparison]) -> str:
    """For a README."""
    rule = ["---", *["---:"] * (len(_HEADINGS) - 2), "---"]
    rows = [_HEADINGS, rule, *map(_cells, lines)]
    texts = ["| " + " | ".join(row) + " |" for row in rows]
    texts += ["", *[f"* {words(comparison)}" for comparison in comparisons]]
    return "\n".join(texts) + "\n"


def words(comparison: Comparison) -> str:
    """One line for people."""
    steady = "" if comparison.steady is None else f", steady {comparison.steady:.2f}"
    return f"{comparison.title}: {comparison.whole:.2f} times as fast{steady}"


def _cells(line: Line) -> list[str]:
    return [
        line.title,
        f"{line.rate:,.0f}",
        f"{line.lowest:,.0f} to {line.highest:,.0f}",
        _text(line.ratio, ".2f"),
        _text(line.steady, ",.0f"),
        _text(line.steady_ratio, ".2f"),
        f"{line.cpu:.1f}",
        _text(line.peak, ".0f"),
        line.note,
    ]


def _whole_ratios(pairs: Sequence[tuple[Figures, Figures]]) -> list[float]:
    return [one.rate / other.rate for one, other in pairs]


def _steady_ratios(pairs: Sequence[tuple[Figures, Figures]]) -> list[float]:
    return [one.steady / other.steady for one, other in pairs if one.steady and other.steady]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)

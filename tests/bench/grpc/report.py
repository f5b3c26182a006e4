"""What one run has measured, beside the empty handler of the same group: tables, and JSON for programs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from tests.bench.grpc.measuring import Figures, Group
from tests.bench.grpc.variants import REFERENCE, VARIANTS, Variant

_HEADINGS = ("what", "callers", "calls/s", "lowest to highest", "ratio", "p50 ms", "p99 ms", "CPU µs/call", "events/s")


@dataclass(frozen=True, slots=True)
class Line:
    """The rounds of one variant in one group. Times are milliseconds, CPU microseconds a call.

    `ratio` is the median of each round's own, to the empty handler of the same group; None without one and in process.
    """

    name: str
    title: str
    kind: str
    group: Group
    rate: float
    lowest: float
    highest: float
    ratio: float | None
    p50: float
    p99: float
    cpu: float | None
    events: float | None


class Report:
    """Collects round by round."""

    def __init__(self) -> None:
        self._rounds: defaultdict[tuple[Group, str], list[Figures]] = defaultdict(list)

    def add(self, variant: Variant, group: Group, figures: Figures) -> None:
        """One measurement of the round that is going on."""
        self._rounds[group, variant.name].append(figures)

    def lines(self) -> list[Line]:
        """All that was measured: by processes, then by callers, then as variants are listed."""
        groups = sorted({group for group, _ in self._rounds}, key=lambda one: (one.processes, one.callers))
        return [
            self._line(variant, group, found)
            for group in groups
            for variant in VARIANTS.values()
            if (found := self._rounds.get((group, variant.name)))
        ]

    def as_json(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """The lines, and each measurement as it was taken."""
        rounds = [
            {"name": name, **asdict(group), "rounds": [asdict(figures) for figures in found]}
            for (group, name), found in self._rounds.items()
        ]
        lines = [asdict(line) for line in self.lines()]
        return {**about, "lines": lines, "rounds": rounds}

    def _line(self, variant: Variant, group: Group, found: Sequence[Figures]) -> Line:
        rates = [figures.rate for figures in found]
        limits = self._rounds.get((group, REFERENCE), [])
        ratios = [one.rate / limit.rate for one, limit in zip(found, limits, strict=False) if limit.rate]
        cpu = [figures.cpu for figures in found if figures.cpu is not None]
        return Line(
            name=variant.name,
            title=variant.title,
            kind=variant.kind,
            group=group,
            rate=median(rates),
            lowest=min(rates),
            highest=max(rates),
            ratio=median(ratios) if ratios and variant.kind != "inside" else None,
            p50=median(figures.p50 for figures in found),
            p99=median(figures.p99 for figures in found),
            cpu=median(cpu) if cpu else None,
            events=median(rates) * variant.events if variant.events else None,
        )


def tables(lines: Sequence[Line]) -> list[Table]:
    """For a terminal: one for each number of processes."""
    shown = []
    for processes in sorted({line.group.processes for line in lines}):
        table = Table(title=_title(processes))
        for place, heading in enumerate(_HEADINGS):
            table.add_column(heading, no_wrap=True, justify="right" if place else "left")
        former = None
        for line in lines:
            if line.group.processes == processes:
                if former not in (None, line.group):
                    table.add_section()
                table.add_row(*_cells(line))
                former = line.group
        shown.append(table)
    return shown


def markdown(lines: Sequence[Line]) -> str:
    """For a README."""
    texts: list[str] = []
    for processes in sorted({line.group.processes for line in lines}):
        rows = [_HEADINGS, ["---", *["---:"] * (len(_HEADINGS) - 1)]]
        rows += [_cells(line) for line in lines if line.group.processes == processes]
        texts += [f"{_title(processes)}:", "", *["| " + " | ".join(row) + " |" for row in rows], ""]
    return "\n".join(texts)


def _title(processes: int) -> str:
    return "one server process" if processes == 1 else f"{processes} server processes"


def _cells(line: Line) -> list[str]:
    return [
        line.title,
        str(line.group.callers),
        f"{line.rate:,.0f}",
        f"{line.lowest:,.0f} to {line.highest:,.0f}",
        _text(line.ratio, ".2f"),
        f"{line.p50:.1f}",
        f"{line.p99:.1f}",
        _text(line.cpu, ".0f"),
        _text(line.events, ",.0f"),
    ]


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)

"""One check of all aggregates or of some: looks, repairs where asked to, and adds up what it found."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from movieapp.progress import Meter
from ratings.checking.looking import Fault, Finding, Look, looks_at_everything, looks_at_records
from ratings.checking.repairing import aggregates_repair

_EXAMPLES = 20


@dataclass(slots=True)
class CheckReport:
    """What a check has found so far; `records` and `ratings` were looked at, `examples` are the first findings.

    `found` counts records for the faults of aggregates and rows for the others.
    """

    records: int = 0
    ratings: int = 0
    seconds: float = 0.0
    found: Counter[Fault] = field(default_factory=Counter)
    examples: list[Finding] = field(default_factory=list)
    repaired: int = 0
    longest_lock: float = 0.0

    @property
    def mendable(self) -> int:
        """How many records' aggregates are not what the ratings say, or were not before the repair."""
        return sum(count for fault, count in self.found.items() if fault.is_mendable)

    @property
    def beyond_repair(self) -> int:
        """How many rows are wrong in a way that ratings alone cannot mend."""
        return sum(self.found.values()) - self.mendable


def aggregates_check(
    *, records: Sequence[tuple[str, str]], repair: bool, report: CheckReport, meter: Meter
) -> CheckReport:
    """Checks these records (type, id), or all where none is named, and fills `report` as it goes on.

    Without `repair` it is read-only. With it, what is wrong is mended part by part; writers wait only for those records
    that are just being mended. May be stopped at any time. Raises RecordNotFound.
    """
    began = time.monotonic()
    for look in looks_at_records(records) if records else looks_at_everything():
        _note(report, look)
        if repair:
            for done in aggregates_repair(look.findings):
                report.repaired += done.repaired
                report.longest_lock = max(report.longest_lock, done.lock_seconds)
        report.seconds = time.monotonic() - began
        meter.update(count=report.ratings, share=look.share)
    return report


def _note(report: CheckReport, look: Look) -> None:
    report.records += look.records
    report.ratings += look.ratings
    report.examples += look.findings[: _EXAMPLES - len(report.examples)]
    for finding in look.findings:
        report.found[finding.fault] += 1 if finding.fault.is_mendable else finding.rows

"""What a check of the aggregates says at its end, and its exit code."""

from collections.abc import Iterator, Sequence

from movieapp.words import counted
from ratings.checking.id_space import IdSpace
from ratings.checking.looking import Fault, Finding, Sums
from ratings.checking.running import CheckReport

_COUNTED = {
    Fault.DIFFERENT: ("aggregate that differs from its ratings", "aggregates that differ from their ratings"),
    Fault.MISSING: ("record without an aggregate", "records without an aggregate"),
    Fault.NO_RECORD: ("rating or aggregate without a record", "ratings or aggregates without a record"),
    Fault.NO_RATER: ("rating without a rater", "ratings without a rater"),
    Fault.MISFILED: ("rating under a wrong key", "ratings under a wrong key"),
}


def exit_code(report: CheckReport, *, repair: bool) -> int:
    """0 when all is true, or is so now; else 1."""
    return int(bool(report.beyond_repair or (report.mendable and not repair)))


def summary(report: CheckReport, spaces: Sequence[IdSpace], *, repair: bool) -> Iterator[str]:
    """The lines that tell what was found and what to do about it."""
    for finding in report.examples:
        yield _line(finding)
    left = sum(report.found.values()) - sum(1 if one.fault.is_mendable else one.rows for one in report.examples)
    if left > 0:
        yield f"and {left:,} more"
    looked_at = f"{counted(report.records, 'record')} and {counted(report.ratings, 'rating')}"
    yield f"Looked at {looked_at} in {report.seconds:.1f} s."
    yield from (f"{count:,} {_COUNTED[fault][count != 1]}" for fault, count in report.found.items())
    if not report.found:
        yield "Every aggregate is what its ratings say."
    elif repair and report.mendable:
        repaired = counted(report.repaired, "aggregate")
        yield f"Repaired: {repaired}; a writer waited at most {report.longest_lock:.2f} s for it."
    elif report.mendable:
        yield "To repair the aggregates: manage.py check_aggregates --repair"
    if report.beyond_repair:
        yield (
            "Ratings without a record or a rater, or under a wrong key, were not made by this project's write path: "
            "look at what else writes to the table ratings_rating, or how it was restored. They are left as they are."
        )
    yield from (f"Warning: {space}." for space in spaces if space.is_short)


def _line(finding: Finding) -> str:
    name = finding.name or f"record number {finding.record}"
    if finding.fault is Fault.DIFFERENT and finding.stored is not None:
        return f"{name}: the aggregate says {_said(finding.stored)}, the ratings say {_said(finding.true)}"
    if finding.fault is Fault.MISSING:
        return f"{name}: no aggregate; the ratings say {_said(finding.true)}"
    return f"{name}: {finding.fault} ({finding.rows:,})"


def _said(sums: Sums) -> str:
    return f"{sums.count:,} with a sum of {sums.total / 10:,.1f}"

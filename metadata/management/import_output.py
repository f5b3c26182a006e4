"""What an import says at its end: its report and its exit code."""

from typing import Protocol

from metadata.importing import ImportReport, Outcome

_EXIT_STOPPED = 1
_EXIT_REJECTED = 3
_EXIT_INTERRUPTED = 130


class Output(Protocol):
    """Where the report goes: a command's stdout or stderr."""

    def write(self, msg: str) -> object:
        """Writes the text and ends the line."""


def exit_code(report: ImportReport) -> int:
    """The process's exit code for this report."""
    if report.outcome is Outcome.INTERRUPTED:
        return _EXIT_INTERRUPTED
    if report.outcome is Outcome.STOPPED:
        return _EXIT_STOPPED
    return _EXIT_REJECTED if report.rejected else 0


def print_report(report: ImportReport, *, output: Output, errors: Output) -> None:
    """The counts to `output`; what was rejected, and why it ended early, to `errors`."""
    for rejection in report.rejections:
        errors.write(f"rejected: {rejection}")
    if report.rejected > len(report.rejections):
        errors.write(f"rejected: and {report.rejected - len(report.rejections)} more")
    counts = {
        "read": report.read,
        "created": report.written.created,
        "changed": report.written.changed,
        "unchanged": report.written.unchanged,
        "repeated": report.written.repeated,
        "left out": report.left_out,
        "rejected": report.rejected,
    }
    output.write("movies: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if report.outcome is not Outcome.COMPLETE:
        errors.write(f"{report.outcome.value}: {report.reason}")

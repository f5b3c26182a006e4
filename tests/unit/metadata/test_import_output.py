"""What an import prints, and the exit code it ends with."""

import io

import pytest

from metadata.importing import ImportReport, Outcome, Rejection
from metadata.management.import_output import exit_code, print_report
from metadata.services import MoviesWritten


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (ImportReport(), 0),
        (ImportReport(read=5, left_out=5), 0),
        (ImportReport(rejected=1), 3),
        (ImportReport(outcome=Outcome.STOPPED), 1),
        (ImportReport(outcome=Outcome.STOPPED, rejected=1), 1),
        (ImportReport(outcome=Outcome.INTERRUPTED), 130),
    ],
)
def test_exit_codes(report, code):
    assert exit_code(report) == code


def test_names_rejections_and_counts_those_it_does_not_name():
    output, errors = io.StringIO(), io.StringIO()
    report = ImportReport(
        read=9,
        rejected=7,
        rejections=[Rejection("movies.csv", "line 4", "year: it is not a whole number")],
        written=MoviesWritten(created=1, changed=0, unchanged=1),
        outcome=Outcome.STOPPED,
        reason="the disk is gone",
    )
    print_report(report, output=output, errors=errors)
    assert output.getvalue() == (
        "movies: 9 read, 1 created, 0 changed, 1 unchanged, 0 repeated, 0 left out, 7 rejected"
    )
    assert "rejected: movies.csv, line 4: year: it is not a whole number" in errors.getvalue()
    assert "rejected: and 6 more" in errors.getvalue()
    assert "stopped: the disk is gone" in errors.getvalue()

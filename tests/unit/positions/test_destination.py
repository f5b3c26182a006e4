"""Where `move_offsets --to` may point."""

from argparse import ArgumentTypeError

import pytest

from workers.ingestion.positions.destination import Edge, Exactly, Since, destination, partition_number


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("earliest", Edge.EARLIEST),
        ("latest", Edge.LATEST),
        ("0:0", Exactly({0: 0})),
        ("3:1500,0:7", Exactly({3: 1500, 0: 7})),
        ("1700000000123", Since(1_700_000_000_123)),
        ("2023-11-14T22:13:20Z", Since(1_700_000_000_000)),
        ("2023-11-15T00:13:20.5+02:00", Since(1_700_000_000_500)),
        ("2023-11-14 22:13:20.001+00:00", Since(1_700_000_000_001)),
    ],
)
def test_each_form_is_understood(text, meant):
    assert destination(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "none of"),
        ("newest", "none of"),
        ("EARLIEST", "none of"),
        ("2023-11-14T22:13:20", "time zone"),
        ("2023-11-14", "time zone"),
        ("1969-12-31T23:59:59Z", "before 1970"),
        ("1500", "PARTITION:OFFSET"),
        ("1700000000", "PARTITION:OFFSET"),
        ("17000000000000000", "PARTITION:OFFSET"),
        ("0:1,0:2", "named twice"),
        ("0:-1", "none of"),
        ("0:1,", "none of"),
        (f"0:{2**63}", "more than any offset"),
        ("\u0663:\u0661", "none of"),
    ],
)
def test_what_is_not_clear_is_refused(text, said):
    with pytest.raises(ArgumentTypeError, match=said):
        destination(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "²", "1" * 10])
def test_a_partition_is_a_number(text):
    with pytest.raises(ArgumentTypeError):
        partition_number(text)

"""`make bench-grpc` runs to its end on little, and leaves nothing out."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from movieapp.devstack.layout import PROJECT_ROOT
from tests.bench.grpc.variants import VARIANTS

FEW = ("empty", "aggregate", "aggregate-inside")


@pytest.mark.parametrize(
    ("names", "callers", "processes"),
    [(FEW, (2,), (1,)), pytest.param(tuple(VARIANTS), (1, 5), (1, 2), marks=pytest.mark.soak)],
    ids=["few", "all"],
)
def test_every_variant_is_measured_in_every_group(
    tmp_path: Path, names: Sequence[str], callers: Sequence[int], processes: Sequence[int]
) -> None:
    told, table, picture = (tmp_path / name for name in ("figures.json", "table.md", "rates.svg"))
    few = ["--rounds", "1", "--seconds", "0.5", "--only", *names]
    chosen = ["--callers", *map(str, callers), "--processes", *map(str, processes)]
    files = ["--json", str(told), "--markdown", str(table), "--chart", str(picture)]

    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.grpc", *few, *chosen, *files],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(told.read_text())
    wanted = {(name, caller, process) for name in names for caller in callers for process in processes}
    lines = figures["lines"]
    assert {(line["name"], line["group"]["callers"], line["group"]["processes"]) for line in lines} == wanted
    assert all(line["rate"] > 0 for line in lines)
    assert "GetAggregatedRating" in table.read_text()
    assert "GetAggregatedRating" in picture.read_text()

"""`make bench` runs to its end on little, and refuses a table that is not what the events make."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from movieapp.devstack.layout import PROJECT_ROOT

pytestmark = pytest.mark.soak


def test_every_variant_of_ours_is_measured_and_right(tmp_path: Path):
    told = tmp_path / "figures.json"
    few = ["--events", "5000", "--rounds", "1", "--prefilled", "20000", "--without", "pathway", "--json", str(told)]

    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.ingest", *few],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    measured = {line["name"]: line for line in json.loads(told.read_text())["lines"]}
    assert {"exactly-once", "at-least-once-2", "replay", "prefilled", "fetch-decode", "copy-final"} <= measured.keys()
    assert all(line["rate"] > 0 for line in measured.values())

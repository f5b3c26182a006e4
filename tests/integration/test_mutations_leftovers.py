"""Whatever a run of tests on a planted fault has started ends with the run, wherever it has gone; others' do not."""

import os
import subprocess
import sys
import threading

import pytest

from movieapp.devstack.identity import started_at
from tests.mutations.leftovers import MARK
from tests.mutations.workspace import Workspace
from tests.waiting import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
LEAVES_ONE = f"""
import subprocess
import time
from pathlib import Path


def test_it():
    process = subprocess.Popen({SLEEPER!r}, start_new_session=True)
    Path("left.new").write_text(str(process.pid))
    Path("left.new").rename("left")
    time.sleep({{seconds}})
"""


@pytest.fixture
def stranger():
    """A process of another run."""
    process = subprocess.Popen(SLEEPER, env={**os.environ, MARK: "another run's"})
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize(("seconds", "code"), [(0, 0), (600, -9)], ids=["ended", "killed"])
def test_what_a_run_has_started_ends_with_it(tmp_path, stranger, seconds, code):
    workspace, tree, runs = Workspace(tmp_path, number=0), tmp_path / "tree-0", []
    (tree / "tests/unit/test_leaving.py").write_text(LEAVES_ONE.format(seconds=seconds))
    one = threading.Thread(
        target=lambda: runs.append(workspace.run([f"{tree}/tests/unit/test_leaving.py"], patience=60))
    )
    one.start()
    wait_until(lambda: (tree / "left").exists() or not one.is_alive(), timeout=60)
    if seconds:
        workspace.kill()
    one.join()
    assert [run.code for run in runs] == [code], runs
    assert started_at(int((tree / "left").read_text())) is None
    assert stranger.poll() is None

"""A process's folder is its own, and goes with it: at its end, or with the next folder that is made."""

import os
import subprocess
import sys
import tempfile
import time

import pytest

from movieapp.catalogue.serving import folders
from movieapp.catalogue.serving.folders import own_folder

_KILLED = """
import os, signal
from movieapp.catalogue.serving.folders import own_folder
with own_folder() as folder:
    (folder / "socket").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    """The system's folder for such."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def age(folder, *, seconds):
    moment = time.time() - seconds
    os.utime(folder, (moment, moment))


def test_nobody_else_may_enter_it_and_it_goes_with_what_is_in_it():
    with own_folder() as folder:
        (folder / "socket").touch()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_what_a_killed_process_has_left_goes_with_the_next(root):
    subprocess.run([sys.executable, "-c", _KILLED], check=False)
    (left,) = root.iterdir()
    with own_folder():
        assert left.exists()  # so young that its process may not have got as far as locking it
    age(left, seconds=61)
    with own_folder():
        assert not left.exists()


def test_what_belongs_to_a_process_that_lives_stays():
    with own_folder() as first:
        age(first, seconds=1_000)
        with own_folder():
            assert first.exists()


def test_what_is_not_ours_stays(root, monkeypatch):
    others = [root / "movieapp-of-another-kind", root / "movieapp-grpc-file", root / "movieapp-grpc-link"]
    elsewhere = root / "elsewhere"
    others[0].mkdir()
    others[1].touch()
    elsewhere.mkdir()
    others[2].symlink_to(elsewhere)
    (root / "movieapp-grpc-of-another-user").mkdir()
    for path in root.iterdir():
        age(path, seconds=1_000)
    with monkeypatch.context() as patch:
        patch.setattr(folders.os, "geteuid", lambda: os.getuid() + 1)
        with own_folder():
            pass
    assert (root / "movieapp-grpc-of-another-user").exists()
    with own_folder():
        pass
    assert all(other.exists() for other in (*others, elsewhere))
    assert not (root / "movieapp-grpc-of-another-user").exists()

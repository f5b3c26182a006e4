"""A process is known by its id and its start together."""

import os
import subprocess
import sys
from pathlib import Path

from movieapp.devstack.identity import (
    ProcessIdentity,
    identity_of,
    no_process_works_in,
    started_at,
    this_process,
    works_in,
)
from tests.waiting import wait_until


def test_this_process_is_alive() -> None:
    assert this_process().is_alive()
    assert this_process() == identity_of(os.getpid())


def test_the_same_id_with_another_start_is_another_process() -> None:
    assert not ProcessIdentity(os.getpid(), "some other time").is_alive()


def test_a_zombie_and_a_reaped_process_are_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identity_of(process.pid)
    assert identity is not None
    assert identity.is_alive()
    assert process.stdin is not None
    process.stdin.close()
    wait_until(lambda: started_at(process.pid) is None, message="the zombie counts as gone")
    process.wait()
    assert not identity.is_alive()


def test_who_works_in_a_folder_is_found(tmp_path: Path) -> None:
    # The folder is named too, for systems that cannot say in which folder a process works.
    command = [sys.executable, "-c", "print('here', flush=True); input()", str(tmp_path)]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert works_in(process.pid, tmp_path)
        assert not works_in(os.getpid(), tmp_path)
        assert not no_process_works_in(tmp_path, within_s=0)
        process.communicate(b"\n")
    assert not works_in(process.pid, tmp_path)

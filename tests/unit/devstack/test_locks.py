"""One holder at a time, and no lock that outlives its holder."""

import threading
from pathlib import Path

from movieapp.devstack.locks import held


def test_a_second_holder_is_refused_at_once_and_the_next_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with held(path, wait=False) as first:
        assert first
        with held(path, wait=False) as second:
            assert not second
    with held(path, wait=False) as third:
        assert third


def test_a_refused_holder_leaves_the_lock_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with held(path, wait=False, remove=True):
        with held(path, wait=False, remove=True) as second:
            assert not second
        assert path.exists()
        with held(path, wait=False) as third:
            assert not third


def test_the_file_is_gone_afterwards_when_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with held(path, remove=True):
        assert path.exists()
    assert not path.exists()


def test_a_left_over_file_does_not_count_as_held(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    path.write_text("12345\n")
    with held(path, wait=False) as taken:
        assert taken


def test_who_waits_gets_the_lock_even_when_its_holder_removes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    inside: list[str] = []

    def wait_for_it() -> None:
        with held(path, wait=True, remove=True):
            assert path.exists()
            inside.append("waiter")

    with held(path, remove=True):
        waiter = threading.Thread(target=wait_for_it)
        waiter.start()
        inside.append("holder")
    waiter.join(timeout=10)
    assert inside == ["holder", "waiter"]
    assert not path.exists()

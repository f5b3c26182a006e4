"""The peak memory of a process and its children, read while they run, as the kernel keeps it (Linux; else None).

What wait4 tells would not do: it counts what the parent held when it forked. Of several processes the peaks are added,
as if they came at once, and the pages of programs and libraries that they share are counted with each: about 30 MB.
"""

import time
from pathlib import Path

_LOOK_EVERY_S = 0.25
_PROC = Path("/proc")


class PeakMemory:
    """Look often: what a process gains after the last look before its end is missed."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._looked_at = 0.0

    @property
    def bytes(self) -> int | None:
        """The peaks of all its processes together."""
        return sum(self._peaks.values()) or None

    def look(self) -> None:
        """At most four times a second."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._look_at(self._pid)

    def _look_at(self, pid: int) -> None:
        folder = _PROC / str(pid)
        try:
            for line in (folder / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._peaks[pid] = int(line.split()[1]) * 1024
            children = [
                child for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()
            ]
        except OSError:
            return
        for child in children:
            self._look_at(int(child))

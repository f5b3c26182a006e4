"""Names a process so that a recycled process id is never taken for it: the id together with its start time."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_HAS_PROC = Path("/proc/self/stat").exists()


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for good: `started` is the kernel's start time of `pid`, as an opaque text."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        return started_at(self.pid) == self.started


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of a running process, None when there is none."""
    started = started_at(pid)
    return None if started is None else ProcessIdentity(pid, started)


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    identity = identity_of(os.getpid())
    assert identity is not None
    return identity


def started_at(pid: int) -> str | None:
    """When the process started, None when there is no such process or only its zombie."""
    if _HAS_PROC:
        return _started_from_proc(pid)
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def _started_from_proc(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name in parentheses may itself hold spaces and parentheses: fields are counted after the last one.
    fields = text.rpartition(")")[2].split()
    state, start_ticks = fields[0], fields[19]
    return None if state in ("Z", "X") else f"{_boot()}/{start_ticks}"


def _boot() -> str:
    """Start times count from the boot, so that a reboot must not make two of them equal."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def works_in(pid: int, folder: Path) -> bool:
    """Whether the process has `folder` as working folder (without /proc: names it in its command line)."""
    if _HAS_PROC:
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
        except OSError:
            return False
    listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(folder) in listing.stdout


def no_process_works_in(folder: Path, *, within_s: float) -> bool:
    """True once nobody has `folder` as working folder; False after `within_s`, or where that cannot be told."""
    if not _HAS_PROC:
        return False
    deadline = time.monotonic() + within_s
    while any(works_in(int(entry.name), folder) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop_identified(identity: ProcessIdentity, *, gentle: signal.Signals, patience_s: float) -> None:
    """Ends a process that is not our child: `gentle` first, SIGKILL after `patience_s`; returns once it is gone."""
    _signal(identity, gentle)
    if not _gone_within(identity, patience_s):
        _signal(identity, signal.SIGKILL)
        _gone_within(identity, 10)


def _signal(identity: ProcessIdentity, signum: signal.Signals) -> None:
    if identity.is_alive():
        try:
            os.kill(identity.pid, signum)
        except ProcessLookupError:
            return


def _gone_within(identity: ProcessIdentity, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while identity.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

"""Keeps named children running: writes down who they are, restarts the ones that die, stops them all in order."""

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from movieapp.devstack.child import Child, Command, exit_text
from movieapp.devstack.errors import DevstackError, ProcessFailed
from movieapp.devstack.identity import ProcessIdentity, stop_identified
from movieapp.devstack.layout import write_private

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STEADY_AFTER_S = 60.0


@dataclass
class _Kept:
    """One child that is kept running, and when it may be started again after its last end."""

    prepare: Callable[[], Command]
    child: Child
    pause_s: float = _FIRST_PAUSE_S
    restart_at: float | None = None


class Supervisor:
    """The children of one `make run`. `record` lets the next one find what a killed supervisor left behind."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._kept: dict[str, _Kept] = {}
        self._passing: list[Child] = []
        # Re-entrant: a signal's handler may have to kill everything while the main thread holds it.
        self._lock = threading.RLock()

    def start(self, prepare: Callable[[], Command]) -> Child:
        """Starts a child that is to be kept running; `prepare` is asked again before each restart."""
        command = prepare()
        with self._lock:
            child = Child(command)
            self._kept[command.name] = _Kept(prepare, child)
            self._write_record()
        return child

    def run(self, command: Command) -> Child:
        """Starts a child that ends by itself; it is not restarted."""
        with self._lock:
            child = Child(command)
            self._passing.append(child)
            self._write_record()
        return child

    def check(self) -> None:
        """While the stack starts nothing may die. Raises ProcessFailed, with the log's end, if a child has."""
        for name, kept in list(self._kept.items()):
            code = kept.child.poll()
            if code is not None:
                raise ProcessFailed(
                    f"{name} ended while the stack was starting ({exit_text(code)}).",
                    log=kept.child.command.log,
                )

    def mend(self, tell: Callable[[str], None]) -> None:
        """One look at all children: tells who died, and starts it again after a pause that doubles up to 30 s."""
        for name, kept in list(self._kept.items()):
            code = kept.child.poll()
            if code is None:
                continue
            if kept.restart_at is None:
                self._plan_restart(kept)
                tell(
                    f"{name} died ({exit_text(code)}); starting it again in {kept.pause_s:.0f} s. "
                    f"Log: {kept.child.command.log}"
                )
            elif time.monotonic() >= kept.restart_at:
                self._restart(name, kept, tell)

    def stop_all(self, *, servers: frozenset[str]) -> None:
        """Stops first what is passing, then ours together, then the `servers` in the reverse order of their start."""
        with self._lock:
            ours = [kept.child for name, kept in self._kept.items() if name not in servers]
            last = [kept.child for name, kept in reversed(self._kept.items()) if name in servers]
            stoppers = [threading.Thread(target=child.stop) for child in (*self._passing, *ours)]
            for stopper in stoppers:
                stopper.start()
            for stopper in stoppers:
                stopper.join()
            for child in last:
                child.stop()
            self._record.unlink(missing_ok=True)

    def kill_all(self) -> None:
        """Kills every child and all that they started, now."""
        for child in [*self._passing, *(kept.child for kept in self._kept.values())]:
            child.kill()
        self._record.unlink(missing_ok=True)

    def _plan_restart(self, kept: _Kept) -> None:
        steady = time.monotonic() - kept.child.started > _STEADY_AFTER_S
        kept.pause_s = _FIRST_PAUSE_S if steady else min(kept.pause_s * 2, _LONGEST_PAUSE_S)
        kept.restart_at = time.monotonic() + kept.pause_s

    def _restart(self, name: str, kept: _Kept, tell: Callable[[str], None]) -> None:
        try:
            command = kept.prepare()
        except DevstackError as error:
            self._plan_restart(kept)
            tell(f"{name} cannot be started again: {error} Trying in {kept.pause_s:.0f} s.")
            return
        with self._lock:
            kept.child = Child(command)
            kept.restart_at = None
            self._write_record()
        tell(f"{name} is running again (process {kept.child.pid})")

    def _write_record(self) -> None:
        self._passing = [child for child in self._passing if child.poll() is None]
        children = [*self._passing, *(kept.child for kept in self._kept.values())]
        entries = [{"name": child.command.name, **asdict(child.identity)} for child in children]
        write_private(self._record, json.dumps(entries))


def stop_leftovers(record: Path, tell: Callable[[str], None]) -> None:
    """Stops the children of an earlier supervisor that still run; never a process that only has the same id.

    The last started first: web and workers before the servers that they use.
    """
    try:
        entries = [
            (str(entry["name"]), ProcessIdentity(entry["pid"], entry["started"]))
            for entry in json.loads(record.read_text())
        ]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return
    for name, identity in sorted(entries, key=lambda entry: entry[0] in ("kafka", "postgres")):
        if identity.is_alive():
            tell(f"stopping {name} (process {identity.pid}), which an earlier run left behind")
            gentle = signal.SIGINT if name == "postgres" else signal.SIGTERM
            stop_identified(identity, gentle=gentle, patience_s=15)
    record.unlink(missing_ok=True)

"""Several processes that work as one: started together, started again when killed, and stopped together."""

import signal
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Protocol

import structlog

from workers.clock import Clock, SystemClock
from workers.processes.errors import ProcessFailed

log = structlog.get_logger(__name__)

_LOOK_EVERY = 0.05
_FIRST_PAUSE = 0.25
_DEATHS_ALLOWED = 5
_DEATHS_WITHIN = 60.0
# Longer than anything that an orderly end waits for: the store's answer to a write takes at most 60 s.
_PATIENCE = 90.0
_SILENCE = 10.0

_ENDED_AS_ASKED = (0, -signal.SIGTERM)
"""The second is that of a process which was told to end before it had got as far as listening."""


class SupervisedProcess(Protocol):
    """A running process, as its supervisor sees it."""

    @property
    def pid(self) -> int:
        """Its id."""

    def poll(self) -> int | None:
        """None while it runs, then its exit code; a signal that killed it as a negative number."""

    def silent_seconds(self) -> float:
        """Since it last gave a sign of life; 0 until it has given one, and for one that never does."""

    def stop(self) -> None:
        """Asks it to finish its work and end."""

    def kill(self) -> None:
        """Ends it at once. Safe in a signal handler."""


class Supervisor:
    """Keeps the processes 1 to `count` running until all are to stop.

    * One that gives signs of life and then none for 10 s is frozen, and is killed.
    * One that a signal kills is started again after a pause that doubles from 0.25 s; the sixth time within a minute
      ends all.
    * One that ends with an error ends all, with its exit code: what it could not mend a restart will not mend either.
    * One that ends in order was asked to by somebody else, and so all end.
    """

    def __init__(self, *, start: Callable[[int], SupervisedProcess], count: int, clock: Clock | None = None) -> None:
        self._start = start
        self._clock = clock or SystemClock()
        self._running: dict[int, SupervisedProcess] = {}
        self._due = dict.fromkeys(range(1, count + 1), self._clock.seconds())
        self._deaths: defaultdict[int, deque[float]] = defaultdict(deque)
        self._frozen: set[int] = set()
        self._stopping_since: float | None = None
        self._failure: ProcessFailed | None = None

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Returns when all have ended in order, which they are asked to once `should_stop()` is true.

        Raises ProcessFailed, also once all have ended.
        """
        try:
            while self._running or self._due:
                if should_stop():
                    self._stop()
                self._start_due()
                self._look()
                self._clock.sleep(_LOOK_EVERY)
        finally:
            self.kill()
        if self._failure is not None:
            raise self._failure

    def kill(self) -> None:
        """Ends them all at once. Safe in a signal handler."""
        for process in list(self._running.values()):
            process.kill()

    def _start_due(self) -> None:
        now = self._clock.seconds()
        for number in [number for number, moment in self._due.items() if moment <= now]:
            del self._due[number]
            try:
                self._running[number] = process = self._start(number)
            except OSError as error:
                self._fail(f"Process {number} could not be started: {error}", exit_code=1)
                return
            log.info("process_started", process=number, pid=process.pid)

    def _look(self) -> None:
        for number, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[number]
                self._frozen.discard(number)
                self._ended(number, code)
            elif (silent := process.silent_seconds()) > _SILENCE and number not in self._frozen:
                self._frozen.add(number)
                log.warning("process_silent", process=number, pid=process.pid, seconds=round(silent, 1))
                process.kill()
        if self._stopping_since is not None and self._clock.seconds() - self._stopping_since > _PATIENCE:
            self.kill()

    def _ended(self, number: int, code: int) -> None:
        if code in _ENDED_AS_ASKED:
            log.info("process_ended", process=number)
            self._stop()
        elif code > 0:
            self._fail(f"Process {number} ended with exit code {code}; its words are above", exit_code=code)
        elif self._stopping_since is not None:
            self._fail(f"Process {number} was killed ({_name(code)}) while it finished its work", exit_code=1)
        else:
            self._died(number, code)

    def _died(self, number: int, code: int) -> None:
        now, deaths = self._clock.seconds(), self._deaths[number]
        deaths.append(now)
        while now - deaths[0] > _DEATHS_WITHIN:
            deaths.popleft()
        if len(deaths) > _DEATHS_ALLOWED:
            often = f"Process {number} was killed ({_name(code)}) for the {len(deaths)}th time within a minute"
            self._fail(often, exit_code=1)
            return
        pause = _FIRST_PAUSE * 2 ** (len(deaths) - 1)
        self._due[number] = now + pause
        log.warning("process_died", process=number, killed_by=_name(code), next_start_in_seconds=pause)

    def _fail(self, reason: str, *, exit_code: int) -> None:
        if self._failure is None:
            self._failure = ProcessFailed(f"{reason}. All processes were stopped.", exit_code=exit_code)
        self._stop()

    def _stop(self) -> None:
        if self._stopping_since is None:
            self._stopping_since = self._clock.seconds()
            self._due.clear()
            for process in self._running.values():
                process.stop()


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

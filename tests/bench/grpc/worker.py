"""A process of callers. Reads tasks from standard input and answers on standard output, a line of JSON each.

A task opens its callers, warms them and says `{"ready": true}`; at the next line they call for the task's seconds, and
it tells the microseconds of each call. What goes wrong is told as `{"error": …}`.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc

from tests.bench.grpc.variants import VARIANTS, Caller, Once, Variant

_WARM_S = 0.5
_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


@dataclass
class _Run:
    """One task's callers. They all begin when `go` is set, and end `seconds` later."""

    variant: Variant
    task: dict[str, Any]
    go: threading.Event = field(default_factory=threading.Event)
    until: float = 0.0
    microseconds: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def call(self, number: int, warm: threading.Barrier, adopt: Any) -> None:
        """One caller, from its channel to its end; its thread."""
        try:
            adopt()
            with _opened(self.variant, self.task, number) as once:
                _calls(once, time.perf_counter() + _WARM_S)
                warm.wait()
                self.go.wait()
                self.microseconds.extend(_calls(once, self.until))
        except Exception as error:
            # Before the others fail in turn, as the barrier is broken: the first one is told.
            self.errors.append(f"{type(error).__name__}: {error}"[:800])
            warm.abort()


def _calls(once: Once, until: float) -> list[int]:
    """How long each took. One that is not answered by `until` does not count."""
    clock, taken = time.perf_counter, []
    began = clock()
    while True:
        once()
        now = clock()
        if now >= until:
            return taken
        taken.append(int((now - began) * 1e6))
        began = now


@contextmanager
def _opened(variant: Variant, task: dict[str, Any], number: int) -> Iterator[Once]:
    random = Random(f"{task['seed']} {number}")
    with ExitStack() as stack:
        channel = None
        if variant.kind != "inside":
            addresses = task["addresses"]
            channel = stack.enter_context(grpc.insecure_channel(addresses[number % len(addresses)], options=_OPTIONS))
        yield stack.enter_context(variant.opened(Caller(channel, task["token"], random)))


def _measured(task: dict[str, Any]) -> dict[str, Any]:
    variant = VARIANTS[task["variant"]]
    run = _Run(variant, task)
    callers: list[int] = task["callers"]
    warm = threading.Barrier(len(callers) + 1)
    with _connections(variant) as adopt:
        threads = [threading.Thread(target=run.call, args=(number, warm, adopt)) for number in callers]
        for thread in threads:
            thread.start()
        try:
            warm.wait()
            _say({"ready": True})
            sys.stdin.readline()
            run.until = time.perf_counter() + task["seconds"]
        except threading.BrokenBarrierError:
            pass
        run.go.set()
        for thread in threads:
            thread.join()
    return {"error": run.errors[0]} if run.errors else {"microseconds": run.microseconds}


@contextmanager
def _connections(variant: Variant) -> Iterator[Any]:
    """What a thread does first: in process it gets its connection as the server's threads do."""
    if variant.kind != "inside":
        yield lambda: None
        return
    import django

    django.setup()
    from movieapp.rpc.connections import ServerConnections

    with ServerConnections() as connections:
        yield connections.adopt_thread


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    """Until standard input ends."""
    for line in sys.stdin:
        _say(_measured(json.loads(line)))


if __name__ == "__main__":
    main()

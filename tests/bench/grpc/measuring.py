"""One measurement: callers that call for some seconds, how often they were answered, how soon, and what it cost."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.grpc.scene import Scene
from tests.bench.grpc.variants import Variant

_CPU_CLOCK = 2  # CPUCLOCK_SCHED, in the clock's id as the kernel makes it of a process's


@dataclass(frozen=True, slots=True)
class Group:
    """What the variants of one comparison have in common."""

    callers: int
    processes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Calls a second; times to the answer in milliseconds; CPU of those who answered, in microseconds a call.

    In process the callers answer themselves. None where the system does not tell of another process's CPU.
    """

    rate: float
    p50: float
    p99: float
    cpu: float | None


def measure(variant: Variant, group: Group, scene: Scene, *, seconds: float, seed: int) -> Figures:
    """Raises CallerFailed as soon as one call fails."""
    inside = variant.kind == "inside"
    count = min(group.callers, group.processes if inside else len(scene.workers))
    workers = scene.workers[:count]
    addresses = [server.address for server in scene.servers[: group.processes]]
    task = {"variant": variant.name, "addresses": addresses, "token": scene.token, "seconds": seconds, "seed": seed}
    for place, worker in enumerate(workers):
        # A caller's number is also its server's: each process has callers of every server.
        callers = [number for number in range(group.callers) if number // group.processes % count == place]
        worker.tell({**task, "callers": callers})
    for worker in workers:
        worker.hear()
    answering = (
        [worker.pid for worker in workers] if inside else [server.pid for server in scene.servers[: group.processes]]
    )
    before = _cpu(answering)
    for worker in workers:
        worker.tell({})
    taken = sorted(one for worker in workers for one in worker.hear()["microseconds"])
    after = _cpu(answering)
    calls = max(len(taken), 1)
    return Figures(
        rate=len(taken) / seconds,
        p50=_share(taken, 0.5),
        p99=_share(taken, 0.99),
        cpu=None if before is None or after is None else (after - before) / calls * 1e6,
    )


def _share(taken: Sequence[int], share: float) -> float:
    """Milliseconds within which this share of the calls was answered."""
    return taken[min(int(len(taken) * share), len(taken) - 1)] / 1000 if taken else 0.0


def _cpu(pids: Sequence[int]) -> float | None:
    """Seconds of CPU that the processes have used, all their threads."""
    try:
        return sum(time.clock_gettime(~pid << 3 | _CPU_CLOCK) for pid in pids)
    except OSError:
        return None

"""The threads beside the consume loop's own."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threads:
    """Where a writer has its two kinds of work done: what `writing` does keeps its order."""

    writing: Executor
    preparing: Executor


def new_threads() -> Threads:
    """One thread for each."""
    return Threads(
        writing=ThreadPoolExecutor(max_workers=1, thread_name_prefix="writing"),
        preparing=ThreadPoolExecutor(max_workers=1, thread_name_prefix="preparing"),
    )

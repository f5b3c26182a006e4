"""`make mutations`: plants the catalogue's faults one by one and exits with 1 unless every one is found.

Uses the servers that the tests use (TEST_STACK), started once. Nothing is changed in the work tree.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType

from tests.fixtures.stack import close_run, ensure, open_run
from tests.mutations.catalogue import MUTATIONS, PARTS
from tests.mutations.documentation import PAGE, documentation
from tests.mutations.mutation import Mutation
from tests.mutations.runner import Result, Verdict, runner


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 when every mutation was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="these, by name or the name's beginning")
    parser.add_argument(
        "--jobs", type=int, default=3, help="how many at once, of which some wait (default: %(default)s)"
    )
    parser.add_argument("--times", type=int, default=1, help="plant each so often (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="show the names, what each breaks, and run nothing")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} anew, and run nothing")
    options = parser.parse_args(arguments)
    chosen = [one for one in MUTATIONS if not options.only or one.name.startswith(tuple(options.only))]
    if not chosen:
        parser.error(f"no mutation is called {' or '.join(options.only)}; see --list")
    if options.list:
        print("\n".join(f"{one.name}: {one.breaks}" for one in chosen))
        return 0
    if options.write_docs:
        PAGE.write_text(documentation(PARTS))
        return 0
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _run(chosen * max(1, options.times), jobs=min(max(1, options.jobs), len(chosen)))
    except KeyboardInterrupt:
        print("stopped")
        return 130


def _stop(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM is Ctrl-C: copies, processes and servers of this run go with it."""
    raise KeyboardInterrupt


def _run(chosen: Sequence[Mutation], *, jobs: int) -> int:
    began = time.monotonic()
    stack = open_run(os.environ)
    try:
        with runner(jobs=jobs) as ours:
            if any(not test.startswith("tests/unit/") for mutation in chosen for test in mutation.tests):
                print("starting Postgres and Kafka …", flush=True)
                ensure(stack, "postgres")
                ensure(stack, "kafka")
            print("running the named tests without a mutation …", flush=True)
            failing = ours.failing_without(chosen)
            print(f"planting {len(chosen)} mutations, after {time.monotonic() - began:.0f} s:", flush=True)
            results = ours.run(chosen, failing=failing, tell=_teller(chosen))
    finally:
        close_run(stack)
    return _told(results, seconds=time.monotonic() - began)


def _teller(chosen: Sequence[Mutation]) -> Callable[[Result], None]:
    width = max(len(one.name) for one in chosen)
    told = 0

    def tell(result: Result) -> None:
        nonlocal told
        told += 1
        what = f"{result.verdict.value:<9} {result.seconds:5.1f} s  {result.mutation.name:<{width}}  {result.words}"
        print(f"{told:>3}/{len(chosen)}  {what}", flush=True)

    return tell


def _told(results: Sequence[Result], *, seconds: float) -> int:
    counts = Counter(result.verdict for result in results)
    print(f"{counts[Verdict.KILLED]} of {len(results)} mutations were killed, in {seconds:.0f} s.")
    for result in results:
        if result.verdict != Verdict.KILLED:
            print(f"{result.verdict.value}: {result.mutation.name} ({result.mutation.breaks}) {result.words}")
    return 0 if counts[Verdict.KILLED] == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())

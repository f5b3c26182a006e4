"""The gRPC benchmark's rounds: all of each group together, in an order that favours nobody; and whose error is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise

from tests.bench.grpc import __main__ as bench
from tests.bench.grpc import worker
from tests.bench.grpc.measuring import Group
from tests.bench.grpc.variants import VARIANTS

GROUPS = [Group(8, 1), Group(8, 2)]
ROUNDS = [list(bench.round_of(number, GROUPS, list(VARIANTS.values()))) for number in (1, 2, 3)]


def test_a_round_is_every_variant_once_group_by_group():
    for one in ROUNDS:
        assert [group for group, _ in one] == [group for group in GROUPS for _ in VARIANTS]
        for wanted in GROUPS:
            assert {variant.name for group, variant in one if group == wanted} == set(VARIANTS)


def test_none_comes_always_after_the_same_one():
    for name in VARIANTS:
        before = {earlier.name for one in ROUNDS for (_, earlier), (_, later) in pairwise(one) if later.name == name}
        assert len(before) > 1, name
    assert list(bench.round_of(2, GROUPS, list(VARIANTS.values()))) == ROUNDS[1]


def test_the_error_of_the_caller_that_failed_is_told_and_not_those_that_followed(monkeypatch):
    @contextmanager
    def opened(variant: object, task: object, number: int) -> Iterator[object]:
        if number == 7:
            raise RuntimeError("the reason")
        yield lambda: None

    abort = threading.Barrier.abort

    def abort_and_be_slow(barrier: threading.Barrier) -> None:
        abort(barrier)
        time.sleep(0.2)

    monkeypatch.setattr(threading.Barrier, "abort", abort_and_be_slow)
    monkeypatch.setattr(worker, "_opened", opened)
    monkeypatch.setattr(worker, "_WARM_S", 0.0)
    monkeypatch.setattr(worker, "_connections", lambda variant: nullcontext(lambda: None))
    told = worker._measured({"variant": "empty", "callers": range(8), "seconds": 0.0})
    assert told == {"error": "RuntimeError: the reason"}

"""Streams that come, break off and come again: what they wrote is right, what was seen is the last, nothing stays."""

import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.integration.rpc.streams import Putting, event, resources
from tests.rating_tables import aggregates, assert_consistent
from tests.waiting import wait_until

__all__ = ["resources"]

pytestmark = pytest.mark.soak

SECONDS = 90
MOVIES = [str(number) for number in range(1_000)]
REQUEST = pb.WatchAggregateRequest(records=[pb.Record(type="movie", id=one) for one in MOVIES])


@pytest.fixture
def stub(resources, grpc_channel):
    return RatingServiceStub(grpc_channel)


def held():
    """Threads, open files and megabytes of this process, which is server and clients in one."""
    status = Path("/proc/self/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), int(resident.split()[1]) // 1024


def put_and_break_off(stub, seed, until):
    """Streams that end well, are cancelled, run out of time or send what is none; what is acknowledged is counted."""
    dice = random.Random(seed)
    while time.monotonic() < until:
        stream = Putting(stub, timeout=dice.choice((0.05, 0.5, 30)))
        with suppress(grpc.RpcError):
            for _ in range(dice.randrange(1, 20)):
                chosen = dice.sample(MOVIES, dice.randrange(1, 100))
                stream.send(*(event(one, dice.randrange(101) / 10, user=f"user {seed}") for one in chosen))
                if dice.random() < 0.7:
                    stream.answer()
            if dice.random() < 0.2:
                stream.send()
        if dice.random() < 0.5:
            stream.call.cancel()
        stream.end()
        with suppress(grpc.RpcError):
            list(stream.call)


def watch_and_break_off(stub, seed, until):
    dice = random.Random(seed)
    while time.monotonic() < until:
        call = stub.WatchAggregate(REQUEST, timeout=dice.choice((0.1, 2, 30)))
        with suppress(grpc.RpcError):
            for _ in range(dice.randrange(5)):
                next(call)
        call.cancel()


def test_nothing_stays_of_a_minute_and_a_half_of_streams(stub, resources):
    seen = {}
    lasting = stub.WatchAggregate(REQUEST, timeout=SECONDS + 60)

    def watch_on():
        with suppress(grpc.RpcError):
            for answer in lasting:
                seen.update((one.record.id, one.rating.count) for one in answer.ratings)

    watching = threading.Thread(target=watch_on, daemon=True)
    watching.start()

    def run(seconds):
        until = time.monotonic() + seconds
        works = [(put_and_break_off, seed) for seed in range(6)] + [(watch_and_break_off, seed) for seed in range(6)]
        threads = [threading.Thread(target=work, args=(stub, seed, until)) for work, seed in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(resources[0].streams) == 1, 30)

    run(SECONDS / 3)
    threads, files, megabytes = held()
    run(SECONDS * 2 / 3)
    wait_until(lambda: held()[0] <= threads + 2, 30, lambda: str([one.name for one in threading.enumerate()]))
    assert held()[1] <= files + 5
    assert held()[2] <= megabytes + 60
    assert_consistent()
    counts = {record: count for (_, record), (count, _) in aggregates("movie").items()}
    wait_until(lambda: {record: count for record, count in seen.items() if count} == counts, 10)
    lasting.cancel()
    watching.join()
    resources.assert_nothing_stays()

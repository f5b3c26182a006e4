"""`serve_grpc --workers N`: several processes answer on one port, whoever of them is killed, and end as one."""

import os
import re
import signal
import socket
import urllib.request

import grpc
import pytest

from protos.movieapp.v1 import rating_pb2
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.fixtures.supervised import children, is_gone
from tests.waiting import wait_until

_MANY = 40  # connections: that all of them reach one of two is as likely as a coin's showing heads so often
_ASKED = rating_pb2.GetAggregatedRatingRequest(record_type="movie", record_id="nobody rated it")


@pytest.fixture
def metrics_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def workers(start_manage, metrics_port):
    process = start_manage(
        "serve_grpc", "--service=ratings", "--port=0", "--workers=2", env={"GRPC_METRICS_PORT": str(metrics_port)}
    )
    wait_until(lambda: len(process.entries("serving")) == 2, timeout=60, message=process.output)
    return process


def call(target):
    """One call on a connection of its own; the code of its answer."""
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            RatingServiceStub(channel).GetAggregatedRating(_ASKED, timeout=10, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code()


def counted(port):
    """How many calls all of them together say that they have answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    pattern = r'grpc_server_handled_total\{grpc_code="NOT_FOUND",grpc_method="GetAggregatedRating",.*\} ([0-9.]+)'
    return sum(float(number) for number in re.findall(pattern, text))


def test_both_answer_and_a_killed_one_is_started_again_while_the_other_serves(workers, metrics_port):
    target = workers.served()
    assert {call(target) for _ in range(_MANY)} == {grpc.StatusCode.NOT_FOUND}
    assert counted(metrics_port) == _MANY
    killed = children(workers)[1]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: is_gone(killed), message=workers.output)
    assert call(target) == grpc.StatusCode.NOT_FOUND
    wait_until(lambda: len(workers.entries("serving")) == 3, timeout=60, message=workers.output)
    assert call(target) == grpc.StatusCode.NOT_FOUND
    assert counted(metrics_port) == _MANY + 2  # what the killed one has counted stays counted
    pids = children(workers).values()
    workers.terminate()
    assert workers.wait() == 0, workers.output()
    assert all(map(is_gone, pids))
    with socket.create_server(("127.0.0.1", int(target.rpartition(":")[2]))):
        pass  # the port is free again


def test_a_frozen_worker_is_killed_and_started_again(workers):
    """The kernel goes on giving it connections: each of them would wait for nothing."""
    frozen = children(workers)[1]
    os.kill(frozen, signal.SIGSTOP)
    wait_until(lambda: is_gone(frozen), message=workers.output)
    wait_until(lambda: len(workers.entries("serving")) == 3, timeout=60, message=workers.output)
    assert {call(workers.served()) for _ in range(_MANY)} == {grpc.StatusCode.NOT_FOUND}
    (silent,) = workers.entries("process_silent")
    assert silent["pid"] == frozen
    workers.terminate()
    assert workers.wait() == 0, workers.output()


def test_workers_end_with_a_supervisor_that_is_killed(workers):
    pids = children(workers).values()
    workers.popen.kill()
    wait_until(lambda: all(map(is_gone, pids)), message=workers.output)


def test_a_port_that_is_taken_is_not_shared(start_manage):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start_manage("serve_grpc", "--service=movie", f"--port={port}", "--workers=2")
        assert process.wait(30) == 1
    assert f"Nothing can listen on 127.0.0.1:{port}: another process has the port" in process.output()


def test_one_that_cannot_serve_ends_all(start_manage):
    process = start_manage(
        "serve_grpc", "--service=ratings", "--port=0", "--workers=2", env={"GRPC_TLS_CERTIFICATE": "/nothing/there"}
    )
    assert process.wait(60) == 1
    assert "Set GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY both" in process.output()
    assert "Traceback" not in process.output()

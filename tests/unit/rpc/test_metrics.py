"""What is counted of calls, and what Prometheus reads, of one process and of several."""

import os
import socket
import subprocess
import sys
import urllib.request

import pytest
from prometheus_client import generate_latest

from movieapp.rpc.errors import MetricsPortTaken
from movieapp.rpc.metrics import ServerMetrics, forget_process, metrics_served, read_together

GET = {"grpc_service": "MetadataService", "grpc_method": "GetMetadata"}
WATCH = {"grpc_service": "Ratings", "grpc_method": "Watch"}
# Counts one call and leaves a stream open, as a worker process that is about to be killed.
WORKER = """
from movieapp.rpc.metrics import ServerMetrics
metrics = ServerMetrics()
call = metrics.of(service="MetadataService", method="GetMetadata", is_stream=False)
call.on_start()
call.on_end("OK", 0.004)
metrics.of(service="Ratings", method="Watch", is_stream=True).on_start()
"""


@pytest.fixture
def metrics():
    return ServerMetrics()


def value(registry, name, **labels):
    return registry.get_sample_value(name, labels)


def test_a_call_is_counted_and_timed(metrics):
    call = metrics.of(service="MetadataService", method="GetMetadata", is_stream=False)
    call.on_start()
    assert value(metrics.registry, "grpc_server_started_total", **GET) == 1
    assert value(metrics.registry, "grpc_server_handled_total", **GET, grpc_code="OK") == 0
    call.on_end("OK", 0.004)
    assert value(metrics.registry, "grpc_server_handled_total", **GET, grpc_code="OK") == 1
    assert value(metrics.registry, "grpc_server_handling_seconds_count", **GET) == 1
    assert value(metrics.registry, "grpc_server_handling_seconds_sum", **GET) == 0.004
    assert value(metrics.registry, "grpc_server_handling_seconds_bucket", **GET, le="0.0025") == 0
    assert value(metrics.registry, "grpc_server_handling_seconds_bucket", **GET, le="0.005") == 1


def test_each_code_is_counted_apart(metrics):
    call = metrics.of(service="MetadataService", method="GetMetadata", is_stream=False)
    for code in ("NOT_FOUND", "NOT_FOUND", "INTERNAL"):
        call.on_start()
        call.on_end(code, 0.001)
    assert value(metrics.registry, "grpc_server_started_total", **GET) == 3
    assert value(metrics.registry, "grpc_server_handled_total", **GET, grpc_code="NOT_FOUND") == 2
    assert value(metrics.registry, "grpc_server_handled_total", **GET, grpc_code="INTERNAL") == 1


def test_a_stream_is_counted_while_it_is_open_and_not_timed(metrics):
    stream = metrics.of(service="Ratings", method="Watch", is_stream=True)
    stream.on_start()
    stream.on_start()
    stream.on_end("CANCELLED", 3600.0)
    assert value(metrics.registry, "grpc_server_streams", **WATCH) == 1
    assert value(metrics.registry, "grpc_server_handled_total", **WATCH, grpc_code="CANCELLED") == 1
    assert value(metrics.registry, "grpc_server_handling_seconds_count", **WATCH) is None


def test_known_instances(metrics):
    known = metrics.known_instances("ratings")
    known(2)
    known(1)
    assert value(metrics.registry, "discovery_known_instances", service="ratings") == 1


def test_prometheus_reads_them(metrics):
    metrics.of(service="MetadataService", method="GetMetadata", is_stream=False).on_start()
    with (
        metrics_served(metrics.registry, port=0) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        told = answer.read().decode()
    assert 'grpc_server_started_total{grpc_method="GetMetadata",grpc_service="MetadataService"} 1.0' in told
    assert "process_resident_memory_bytes" in told
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_port_that_is_taken(metrics):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = rf"127\.0\.0\.1:{port} for metrics.*GRPC_METRICS_PORT"
        with pytest.raises(MetricsPortTaken, match=words), metrics_served(metrics.registry, port=port):
            pass


def test_several_processes_are_read_together(tmp_path):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], env=environment) for _ in range(2)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    registry = read_together(tmp_path)
    assert value(registry, "grpc_server_handled_total", **GET, grpc_code="OK") == 2
    assert value(registry, "grpc_server_handling_seconds_bucket", **GET, le="0.005") == 2
    assert value(registry, "grpc_server_streams", **WATCH) == 2
    forget_process(tmp_path, workers[0].pid)
    assert value(registry, "grpc_server_streams", **WATCH) == 1
    assert value(registry, "grpc_server_started_total", **GET) == 2
    assert b"pid=" not in generate_latest(registry)

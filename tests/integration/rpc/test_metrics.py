"""The figures of a server, as Prometheus reads them; whatever callers send, only methods that there are have any."""

import socket
import urllib.error
import urllib.request

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving.services import SERVICES
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.integration.rpc.calls import WITHIN, raw, refusal
from tests.waiting import wait_until

ASKED = pb.GetMetadataRequest(movie_id="7")


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def read(port):
    """All samples at that port: (name, service, method, code) and the value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WITHIN) as answer:
        told = answer.read().decode()
    return {
        (
            sample.name,
            sample.labels.get("grpc_service"),
            sample.labels.get("grpc_method"),
            sample.labels.get("grpc_code"),
        ): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_calls_are_counted_by_method_and_code(grpc_server, free_port):
    names = {offer.descriptor.full_name for offer in SERVICES["metadata"].offers}
    with grpc.insecure_channel(grpc_server("metadata", GRPC_METRICS_PORT=free_port)) as channel:
        stub = MetadataServiceStub(channel)
        assert [refusal(stub.GetMetadata, ASKED)[0] for _ in range(3)] == ["NOT_FOUND"] * 3
        assert refusal(stub.PutMetadata, pb.PutMetadataRequest())[0] == "UNAUTHENTICATED"
        for method in ("/made.Up/Method", "/movieapp.v1.MetadataService/MadeUp"):
            assert refusal(raw(channel, method), b"")[0] == "UNIMPLEMENTED"
        # A call is counted right after its answer has gone out.
        service = "movieapp.v1.MetadataService"
        handled = ("grpc_server_handled_total", service, "GetMetadata", "NOT_FOUND")
        wait_until(lambda: read(free_port).get(handled) == 3, timeout=WITHIN)
        found = read(free_port)
    assert found["grpc_server_started_total", service, "GetMetadata", None] == 3
    assert found["grpc_server_handling_seconds_count", service, "GetMetadata", None] == 3
    assert found["grpc_server_handled_total", service, "PutMetadata", "UNAUTHENTICATED"] == 1
    assert found["grpc_server_handled_total", "MetadataService", "GetMetadata", "OK"] == 0
    standard = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert {service for _, service, *_ in found if service} == names | standard


def test_without_a_port_nothing_is_told(grpc_server, free_port):
    grpc_server("metadata")
    with pytest.raises(urllib.error.URLError):
        read(free_port)


def test_a_port_for_metrics_that_is_taken(grpc_server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotServe, match=f"127.0.0.1:{port} for metrics"):
            grpc_server("metadata", GRPC_METRICS_PORT=port)

"""Health and reflection, as every gRPC client and tool expects them."""

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from movieapp.catalogue.serving.services import SERVICES
from tests.integration.rpc.calls import WITHIN, refusal

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def names(*services):
    return [offer.descriptor.full_name for service in services for offer in SERVICES[service].offers]


def health_of(channel, name):
    return HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=WITHIN).status


def test_the_health_of_the_server_and_of_each_name(grpc_server):
    with grpc.insecure_channel(grpc_server("metadata")) as channel:
        assert [health_of(channel, name) for name in ("", *names("metadata"))] == [SERVING] * 3
        for name in (*names("movie"), "nothing"):
            assert refusal(HealthStub(channel).Check, health_pb2.HealthCheckRequest(service=name))[0] == "NOT_FOUND"


def test_a_server_whose_database_does_not_answer_is_not_serving(grpc_server):
    with grpc.insecure_channel(grpc_server(check=lambda: False)) as channel:
        assert {health_of(channel, name) for name in ("", *names(*SERVICES))} == {NOT_SERVING}


@pytest.mark.parametrize(("name", "status"), [("", SERVING), ("nothing", UNKNOWN)])
def test_a_watch_says_at_once_how_it_stands(grpc_channel, name, status):
    watch = HealthStub(grpc_channel).Watch(health_pb2.HealthCheckRequest(service=name), timeout=WITHIN)
    assert next(watch).status == status
    watch.cancel()


def test_watches_take_no_thread(grpc_server):
    with grpc.insecure_channel(grpc_server(GRPC_THREADS=1)) as channel:
        watches = [HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=WITHIN) for _ in range(8)]
        assert [next(watch).status for watch in watches] == [SERVING] * 8
        assert health_of(channel, "") == SERVING
        for watch in watches:
            watch.cancel()


@pytest.mark.parametrize("services", [("metadata",), tuple(SERVICES)])
def test_reflection_tells_what_is_offered(grpc_server, services):
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(grpc_server(*services)) as channel:
        (answer,) = ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]), timeout=WITHIN)
    standard = ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
    assert [service.name for service in answer.list_services_response.service] == sorted([*names(*services), *standard])

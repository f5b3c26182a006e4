"""An instance that says of itself that it does not serve is not called, wherever it still stands as one that does."""

from collections.abc import Iterator

import pytest
from grpc_health.v1 import health, health_pb2

from movieapp.catalogue.clients import make_details_clients
from movieapp.catalogue.grpc_details import GrpcDetails
from tests.integration.rpc.stand_ins import Metadata, Ratings, running
from tests.waiting import wait_until
from workers.discovery.static import StaticRegistry

LONGEST = 5.0
SICK, WELL = health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def both() -> Iterator[tuple[Ratings, Ratings]]:
    """Two rating services, each of which tells its health: both serve."""
    made = Ratings(), Ratings()
    for one in made:
        one.health = health.HealthServicer()
        one.health.set("", WELL)
    with running(*made):
        yield made


@pytest.fixture
def details(both: tuple[Ratings, Ratings]) -> Iterator[GrpcDetails]:
    """Movie details that ask these two, and some metadata service."""
    metadata = Metadata()
    with running(metadata):
        ports = {"metadata": [metadata.port], "ratings": [one.port for one in both]}
        registry = StaticRegistry({name: [("127.0.0.1", port) for port in ports[name]] for name in ports})
        clients = make_details_clients(registry=registry, longest=LONGEST)
        yield GrpcDetails(clients, partial=False, longest=LONGEST)
        clients.close()


def test_it_is_not_called_until_it_is_well_again(details: GrpcDetails, both: tuple[Ratings, Ratings]) -> None:
    sick, well = both

    def are_called(*those: Ratings) -> bool:
        before = [one.calls for one in both]
        for _ in range(10):
            details.one("7", within=LONGEST)
        called = [one for one, calls in zip(both, before, strict=True) if one.calls > calls]
        return called == list(those)

    wait_until(lambda: are_called(sick, well))
    assert sick.health is not None
    sick.health.set("", SICK)
    wait_until(lambda: are_called(well))
    assert are_called(well)
    sick.health.set("", WELL)
    wait_until(lambda: are_called(sick, well))

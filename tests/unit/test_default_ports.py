"""Each service's name and default port stand in several places, which do not know each other: they say the same."""

from django.conf import settings

from movieapp.catalogue.serving.services import SERVICES
from movieapp.devstack.ports import FIRST, GRPC_SERVICES
from workers.discovery.management.commands import services as services_command

PORTS = {name: service.port for name, service in SERVICES.items()}


def test_discovery_looks_where_servers_listen() -> None:
    assert {name: [("127.0.0.1", port)] for name, port in PORTS.items()} == settings.DISCOVERY_STATIC


def test_make_run_starts_them_where_people_look() -> None:
    assert tuple(PORTS) == GRPC_SERVICES
    assert {f"grpc_{name}": port for name, port in PORTS.items()}.items() <= FIRST.items()


def test_the_command_that_lists_them_knows_them_all() -> None:
    assert tuple(PORTS) == services_command.SERVICES

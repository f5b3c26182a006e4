"""What our own clients try again, and what they never do."""

import json

import pytest

from movieapp.catalogue.clients import METADATA_READS, RATING_READS, make_details_clients, service_config
from movieapp.catalogue.serving.services import SERVICES
from workers.discovery.static import StaticRegistry


def reads_of(service):
    """The reads of a service under movieapp.v1 that have one answer, as the server's rules say it."""
    offer = next(offer for offer in SERVICES[service].offers if offer.descriptor.full_name.startswith("movieapp.v1."))
    one_answer = {method.name for method in offer.descriptor.methods if not method.server_streaming}
    return offer.descriptor.full_name, {name for name in one_answer if offer.rules[name] == "read"}


def tried_again(config):
    """Each method that may be, as the wire calls it, and at which answers."""
    return {
        f"{name['service']}/{name.get('method')}": method["retryPolicy"]["retryableStatusCodes"]
        for method in json.loads(config)["methodConfig"]
        for name in method["name"]
    }


def test_every_read_and_nothing_else_is_tried_again_where_it_was_not_begun(monkeypatch):
    configs = {}

    class Client:
        def __init__(self, service, *, config, **_):
            configs[service] = config

    monkeypatch.setattr("movieapp.catalogue.clients.ServiceClient", Client)
    make_details_clients(registry=StaticRegistry({}), longest=1.0)
    for service, config in configs.items():
        name, reads = reads_of(service)
        assert tried_again(config) == {f"{name}/{method}": ["UNAVAILABLE"] for method in reads}
    assert configs.keys() == {"metadata", "ratings"}


@pytest.mark.parametrize("threads", [1, 16, 100, 240, 1_000])
def test_what_one_instance_had_in_hand_may_all_be_tried_again(settings, threads):
    """Each of our threads has a call at one, and each that fails with it takes a token; below half no call is tried."""
    settings.GRPC_THREADS = threads
    throttling = json.loads(service_config("movieapp.v1.RatingService", reads=RATING_READS))["retryThrottling"]
    assert throttling["maxTokens"] / 2 >= min(max(50, 2 * threads), 500)
    assert throttling["maxTokens"] <= 1_000  # gRPC's own bound: a config with more is none


def test_reads_are_named_as_the_stubs_name_them():
    for service, reads in (("metadata", METADATA_READS), ("ratings", RATING_READS)):
        assert set(reads) == reads_of(service)[1]

"""`manage.py services`, run as operators run it: on the default setting, on a real etcd, and with none there."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from movieapp.devstack.ports import LOOPBACK, free_port
from tests.fixtures.processes import ManagedProcess
from tests.fixtures.registries import RegistryServer
from tests.waiting import wait_until
from workers.discovery.etcd import EtcdRegistry
from workers.discovery.registry import Instance


def looks_of(process: ManagedProcess) -> list[dict[str, Any]]:
    """What it has shown so far, without the words of its log, which stand in between."""
    said = (json.loads(line) for line in process.output().splitlines() if line.startswith("{"))
    return [one for one in said if "instances" in one]


@pytest.fixture
def start() -> Iterator:
    """Starts the command; it needs neither the database nor Kafka, so neither is started for it."""
    started: list[ManagedProcess] = []

    def run(*arguments: str, **env: str) -> ManagedProcess:
        started.append(ManagedProcess(("services", *arguments), {**os.environ, "PYTHONUNBUFFERED": "1", **env}))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_the_default_lists_the_setting(start) -> None:
    process = start(DISCOVERY_STATIC="ratings=10.0.0.1:8082,10.0.0.2:8082;metadata=[::1]:8081")
    assert process.wait() == 0
    for said in ("10.0.0.1:8082", "10.0.0.2:8082", "[::1]:8081", "DISCOVERY_STATIC"):
        assert said in process.output()


def test_a_watch_follows_what_is_registered_until_ctrl_c(start, private_etcd: RegistryServer) -> None:
    process = start("--watch", "--format", "json", "--service", "ratings", **private_etcd.settings)
    process.wait_for('"instances": []')
    registry = EtcdRegistry([private_etcd.address])
    instance = Instance("ratings", "some-id", "10.0.0.1", 8082)
    registry.register(instance, ttl=60.0)
    process.wait_for("some-id")
    registry.deregister(instance)
    wait_until(lambda: len(looks_of(process)) == 3, message=process.output)
    registry.close()
    process.interrupt()
    assert process.wait() == 0
    looks = looks_of(process)
    facts = {"service": "ratings", "id": "some-id", "host": "10.0.0.1", "port": 8082}
    assert [look["instances"] for look in looks] == [[], [facts], []]
    assert {look["registry"] for look in looks} == {"etcd"}


def test_a_service_that_is_none_is_refused_with_the_names_of_those_that_are(start) -> None:
    process = start("--service", "rating")
    assert process.wait() == 2
    for said in ("rating", "metadata", "ratings", "movie"):
        assert f"'{said}'" in process.output()


def test_a_registry_that_is_away_is_told_with_its_setting(start) -> None:
    process = start(DISCOVERY="consul", DISCOVERY_CONSUL_URL=f"http://{LOOPBACK}:{free_port()}")
    assert process.wait() == 1
    assert "Consul at http://127.0.0.1:" in process.output()
    assert "DISCOVERY_CONSUL_URL" in process.output()
    assert "Traceback" not in process.output()

"""What ConsulRegistry asks of Consul, and what it makes of faults that are not Consul's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from workers.discovery.consul import ConsulAddress, ConsulRegistry
from workers.discovery.errors import RegistryUnavailable
from workers.discovery.registry import Instance


@pytest.fixture
def registry() -> Iterator[ConsulRegistry]:
    """Nobody is there."""
    made = ConsulRegistry(ConsulAddress(scheme="http", host="127.0.0.1", port=1))
    yield made
    made.close()


def test_it_asks_to_be_forgotten_some_time_after_the_ttl(
    registry: ConsulRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consul keeps on its list for ever whoever has died, and only marks it, unless told otherwise."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(registry._client.http, "put", lambda *_, data, **__: sent.append(json.loads(data)))
    registry.register(Instance("ratings", "a", "10.0.0.1", 8082), ttl=2.5)
    check = {"CheckID": "service:a", "TTL": "2.5s", "Status": "passing", "DeregisterCriticalServiceAfter": "1m"}
    assert [one["checks"] for one in sent] == [[check]]


def test_a_ca_that_has_gone_is_an_outage(tmp_path: Path) -> None:
    """Somebody has taken the file away since the start: whoever asks goes on with what is known."""
    address = ConsulAddress(scheme="https", host="127.0.0.1", port=1, ca=str(tmp_path / "gone.pem"))
    registry = ConsulRegistry(address)
    with pytest.raises(RegistryUnavailable, match=r"gone\.pem.*DISCOVERY_CONSUL_CA"):
        registry.look("ratings", after=None, wait=0.0)
    registry.close()


def test_each_broken_entry_is_told_once(registry: ConsulRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"ID": "x" * 40, "Node": "n" * 300, "Address": "10.0.0.1"}
    broken: list[Any] = [{"Node": node, "Service": {"ID": name, "Address": "a..b", "Port": 1}} for name in ("a", "b")]
    broken += [{"Node": node}, {"Node": node, "Service": None}, 7]
    monkeypatch.setattr(registry._client.health, "service", lambda service, passing: (7, broken))
    with capture_logs() as said:
        for _ in range(2):
            assert registry.look("ratings", after=None, wait=0.0).instances == frozenset()
    assert [one["entry"] for one in said] == ["'a'", "'b'", "none"]

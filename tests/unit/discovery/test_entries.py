"""Whatever else anybody has written into a registry, the instances in it are found."""

import json
from typing import Any

import pytest
from aetcd import rpc

from workers.discovery.consul import ConsulAddress, ConsulRegistry
from workers.discovery.errors import RegistryUnavailable
from workers.discovery.etcd import EtcdRegistry
from workers.discovery.registry import Instance

A, B = Instance("ratings", "a", "10.0.0.1", 1), Instance("ratings", "b", "10.0.0.2", 2)
ODD_HOSTS = ["a..b", "a" * 64, "fe80::1%nosuch", "10.0.0.1:8082", "0.0.0.0", "", None, 7]


def etcd_entry(name: str, value: bytes) -> Any:
    return rpc.KeyValue(key=f"/movieapp/services/ratings/{name}".encode(), value=value)


def etcd_value(host: object, port: int) -> bytes:
    text = "null" if host is None else f'"{host}"' if isinstance(host, str) else str(host)
    return f'{{"host": {text}, "port": {port}}}'.encode()


@pytest.mark.parametrize(
    "odd",
    [*(etcd_value(host, 8082) for host in ODD_HOSTS), b"[" * 100_000, b'{"a":' * 100_000, b"", b"{}", b"\xff"],
    ids=lambda value: repr(value[:30]),
)
def test_in_etcd(odd: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [etcd_entry("a", etcd_value("10.0.0.1", 1)), etcd_entry("o", odd), etcd_entry("b", etcd_value(B.host, 2))]
    registry = EtcdRegistry(["127.0.0.1:1"])
    monkeypatch.setattr(registry, "_answer", lambda ask, within: rpc.RangeResponse(kvs=entries))
    assert registry.look("ratings", after=None, wait=0.0).instances == {A, B}
    assert registry.services() == [A, B]
    registry.close()


@pytest.mark.parametrize("odd", [host for host in ODD_HOSTS if host])
def test_in_consul(odd: object, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [("a", A.host, 1), ("o", odd, 8082), ("b", B.host, 2)]
    entries = [{"Service": {"ID": name, "Address": host, "Port": port}} for name, host, port in facts]
    registry = ConsulRegistry(ConsulAddress(scheme="http", host="127.0.0.1", port=1))
    monkeypatch.setattr(registry._client.health, "service", lambda service, passing: (7, entries))
    assert registry.look("ratings", after=None, wait=0.0).instances == {A, B}
    registry.close()


def test_what_consul_nests_too_deeply_to_be_read_is_an_answer_unlike_consuls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is one text, so that nothing of it can be read then: the last known instances stay."""
    registry = ConsulRegistry(ConsulAddress(scheme="http", host="127.0.0.1", port=1))
    monkeypatch.setattr(registry._client.health, "service", lambda service, passing: json.loads("[" * 100_000))
    with pytest.raises(RegistryUnavailable, match="in another way than Consul does"):
        registry.look("ratings", after=None, wait=0.0)
    registry.close()

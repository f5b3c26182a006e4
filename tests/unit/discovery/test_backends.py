"""From the settings to a registry: which, where, and what is said when a setting cannot be used."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ import Env

from movieapp.environment import endpoints, http_server
from tests.fixtures.certificates import FILES
from workers.discovery.backends import make_registry
from workers.discovery.consul import ConsulRegistry
from workers.discovery.errors import UnusableSetting
from workers.discovery.etcd import EtcdRegistry
from workers.discovery.static import StaticRegistry

NAME = "SOME_VARIABLE"


def test_the_default_is_the_setting_itself() -> None:
    registry = make_registry()
    assert isinstance(registry, StaticRegistry)
    assert [(one.service, one.port) for one in registry.services()] == [
        ("metadata", 8081),
        ("movie", 8083),
        ("ratings", 8082),
    ]


def test_consul_is_where_the_url_says(settings: Any) -> None:
    settings.DISCOVERY = "consul"
    settings.DISCOVERY_CONSUL_URL = "https://[::1]:8501"
    registry = make_registry()
    assert isinstance(registry, ConsulRegistry)
    assert registry._client.http.base_uri == "https://[::1]:8501"


def test_consuls_token_is_the_settings_and_not_the_environments(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "another")
    settings.DISCOVERY = "consul"
    registry = make_registry()
    assert isinstance(registry, ConsulRegistry)
    assert registry._client.prepare_headers() == {}
    settings.DISCOVERY_CONSUL_TOKEN = "ours"
    registry = make_registry()
    assert isinstance(registry, ConsulRegistry)
    assert registry._client.prepare_headers() == {"X-Consul-Token": "ours"}


def test_etcd_takes_all_its_members(settings: Any) -> None:
    settings.DISCOVERY = "etcd"
    settings.DISCOVERY_ETCD_ENDPOINTS = ["127.0.0.1:1", "127.0.0.1:2"]
    registry = make_registry()
    assert isinstance(registry, EtcdRegistry)
    assert len(registry._members) == 2
    registry.close()


@pytest.mark.parametrize("setting", ["DISCOVERY_ETCD_CA", "DISCOVERY_ETCD_KEY", "DISCOVERY_CONSUL_CA"])
def test_a_file_that_is_not_there_is_named_with_its_setting(settings: Any, setting: str) -> None:
    settings.DISCOVERY = "consul" if "CONSUL" in setting else "etcd"
    setattr(settings, setting, "/nowhere/ca.pem")
    with pytest.raises(UnusableSetting, match=rf"^{setting} is '/nowhere/ca.pem', which cannot be read"):
        make_registry()


@pytest.mark.parametrize("setting", ["DISCOVERY_ETCD_CA", "DISCOVERY_CONSUL_CA"])
@pytest.mark.parametrize("text", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_holds_no_authority_is_named_with_its_setting(
    settings: Any, tmp_path: Path, setting: str, text: str
) -> None:
    (tmp_path / "ca.pem").write_text(text)
    settings.DISCOVERY = "consul" if "CONSUL" in setting else "etcd"
    setattr(settings, setting, str(tmp_path / "ca.pem"))
    with pytest.raises(UnusableSetting, match=rf"^{setting}: the files cannot be used \("):
        make_registry()


def test_a_certificate_with_anothers_key_is_refused(settings: Any) -> None:
    settings.DISCOVERY = "etcd"
    settings.DISCOVERY_ETCD_CA = str(FILES / "authority.pem")
    settings.DISCOVERY_ETCD_CERTIFICATE = str(FILES / "client.pem")
    settings.DISCOVERY_ETCD_KEY = str(FILES / "client.key")
    make_registry().close()
    settings.DISCOVERY_ETCD_KEY = str(FILES / "server.key")
    named = "DISCOVERY_ETCD_CERTIFICATE and DISCOVERY_ETCD_KEY"
    with pytest.raises(UnusableSetting, match=rf"^{named}: the files cannot be used \(KEY_VALUES_MISMATCH"):
        make_registry()


@pytest.mark.parametrize(
    "named", [("CERTIFICATE",), ("KEY", "CA"), ("CERTIFICATE", "KEY")], ids=["no key", "no certificate", "no ca"]
)
def test_half_a_certificate_is_none(settings: Any, tmp_path: Path, named: tuple[str, ...]) -> None:
    (tmp_path / "some.pem").write_text("x")
    settings.DISCOVERY = "etcd"
    for name in named:
        setattr(settings, f"DISCOVERY_ETCD_{name}", str(tmp_path / "some.pem"))
    with pytest.raises(UnusableSetting, match="set all three"):
        make_registry()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("http://consul:8500", "http://consul:8500"),
        ("HTTPS://consul.example.org/", "https://consul.example.org:443"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://[fe80::1%2]:8500", "http://[fe80::1%2]:8500"),
        ("", "http://default:1"),
    ],
)
def test_a_servers_url(monkeypatch: pytest.MonkeyPatch, text: str, meant: str) -> None:
    monkeypatch.setenv(NAME, text)
    assert http_server(Env(), NAME, default="http://default:1") == meant


@pytest.mark.parametrize(
    "text",
    [
        *["consul:8500", "http://", "http://u:secret@consul:8500", "http://a:65536", "http://a:0", "http://a/v1"],
        *["ftp://a", "http://a..b:1", "http://a%b", "http://é", "http://[:::]:1"],
    ],
)
def test_what_is_no_servers_url(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE wants http://host:port") as refused:
        http_server(Env(), NAME, default="")
    assert "secret" not in str(refused.value)


def test_endpoints_are_hosts_with_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "etcd-1:2379, [::1]:2379,10.0.0.1:2379")
    assert endpoints(Env(), NAME, default=[]) == ["etcd-1:2379", "[::1]:2379", "10.0.0.1:2379"]
    for text in ("http://etcd:2379", "etcd", "etcd:0", "etcd:65536", "::1:2379", "a b:1", "a..b:1"):
        monkeypatch.setenv(NAME, f"etcd-1:2379,{text}")
        with pytest.raises(ImproperlyConfigured, match=r"^SOME_VARIABLE has .*host:port"):
            endpoints(Env(), NAME, default=[])

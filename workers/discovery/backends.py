"""From the settings to the registry that they name."""

from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from movieapp.pem import authority_fault, pair_fault
from workers.discovery.errors import UnusableSetting
from workers.discovery.registry import Registry
from workers.discovery.static import StaticRegistry


def make_registry() -> Registry:
    """The registry of the settings, over connections of its own; nothing is asked of it yet.

    Raises UnusableSetting when a file that a setting names cannot be used.
    """
    # Each client is imported only where it is used: a process needs one of them at most.
    if settings.DISCOVERY == "consul":
        return _consul()
    if settings.DISCOVERY == "etcd":
        return _etcd()
    return StaticRegistry(settings.DISCOVERY_STATIC)


def _consul() -> Registry:
    from workers.discovery.consul import ConsulAddress, ConsulRegistry

    url = urlsplit(settings.DISCOVERY_CONSUL_URL)
    _contents("DISCOVERY_CONSUL_CA")  # named here, not when the first call fails
    _check_authority("DISCOVERY_CONSUL_CA")
    return ConsulRegistry(
        ConsulAddress(
            scheme=url.scheme,
            host=url.netloc.rpartition(":")[0],
            port=url.port or 0,
            token=settings.DISCOVERY_CONSUL_TOKEN or None,
            ca=settings.DISCOVERY_CONSUL_CA or None,
        )
    )


def _etcd() -> Registry:
    from workers.discovery.etcd import EtcdRegistry, EtcdTls

    ca, certificate, key = map(_contents, ("DISCOVERY_ETCD_CA", "DISCOVERY_ETCD_CERTIFICATE", "DISCOVERY_ETCD_KEY"))
    if (certificate is None) != (key is None) or (certificate and not ca):
        raise UnusableSetting(
            "DISCOVERY_ETCD_CERTIFICATE and DISCOVERY_ETCD_KEY belong together, and want DISCOVERY_ETCD_CA with them: "
            "set all three, or the CA alone, or none of them."
        )
    _check_authority("DISCOVERY_ETCD_CA")
    if certificate:
        named = "DISCOVERY_ETCD_CERTIFICATE and DISCOVERY_ETCD_KEY"
        _refuse(named, pair_fault(settings.DISCOVERY_ETCD_CERTIFICATE, settings.DISCOVERY_ETCD_KEY))
    tls = EtcdTls(ca=ca, certificate=certificate, key=key) if ca else None
    return EtcdRegistry(settings.DISCOVERY_ETCD_ENDPOINTS, tls=tls)


def _contents(setting: str) -> bytes | None:
    """Of the file that the setting names; None where it names none."""
    path: str = getattr(settings, setting)
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnusableSetting(
            f"{setting} is {path!r}, which cannot be read ({error.strerror}): "
            "name a file in PEM that this process may read."
        ) from None


def _check_authority(setting: str) -> None:
    if path := getattr(settings, setting):
        _refuse(setting, authority_fault(path))


def _refuse(named: str, fault: str | None) -> None:
    if fault:
        raise UnusableSetting(
            f"{named}: the files cannot be used ({fault}). They want PEM, a certificate's key without a password."
        )

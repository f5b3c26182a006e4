"""The registry in Consul: a service with a TTL check for each instance, at the local agent."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from consul import Consul, ConsulException

from workers.discovery.errors import NotRegistered, RegistryUnavailable
from workers.discovery.registry import CALL_TIMEOUT, Instance, Look, Mark

log = structlog.get_logger(__name__)
T = TypeVar("T")

_TAG = "movieapp"
"""Tells our services from others' in the catalogue."""
_DEREGISTER_AFTER = "1m"  # the least that Consul takes, and it looks every 30 s


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulAddress:
    """Where the agent is: its HTTP API; `ca` is a file with the certificates that sign its own, None for the usual."""

    scheme: str
    host: str
    port: int
    token: str | None = field(default=None, repr=False)
    ca: str | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class ConsulRegistry:
    """See Registry. CALL_TIMEOUT is that of each read from the connection: an answer that drips in takes longer."""

    name = "consul"

    def __init__(self, address: ConsulAddress) -> None:
        self._address = address
        self._client = _client(address)
        self._told_broken: set[str] = set()

    def register(self, instance: Instance, *, ttl: float) -> None:
        """See Registry.register. Whose time is over is not listed any more; Consul forgets it a minute later."""
        check = {
            "CheckID": _check_id(instance),
            "TTL": f"{ttl:g}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": _DEREGISTER_AFTER,
        }
        self._answer(
            lambda: self._client.agent.service.register(
                instance.service,
                service_id=instance.id,
                address=instance.host,
                port=instance.port,
                tags=[_TAG],
                check=check,
                replace_existing_checks=True,
            )
        )

    def heartbeat(self, instance: Instance) -> None:
        """See Registry.heartbeat."""
        if not self._answer(lambda: self._client.agent.check.ttl_pass(_check_id(instance))):
            raise NotRegistered(service=instance.service, instance_id=instance.id)

    def deregister(self, instance: Instance) -> None:
        """See Registry.deregister."""
        self._answer(lambda: self._client.agent.service.deregister(instance.id))

    def look(self, service: str, *, after: Mark | None, wait: float) -> Look:
        """See Registry.look."""
        former = after if isinstance(after, int) else 0
        # Rounded up: no milliseconds at all are five minutes to Consul.
        blocking = {"index": former, "wait": f"{math.ceil(wait * 1000)}ms"} if former and wait > 0 else {}
        index, entries = self._answer(lambda: self._client.health.service(service, passing=True, **blocking))
        mark = self._answer(lambda: int(index))
        # Consul's own rule: an index that went back means that it counts anew, and the next query must not wait for it.
        return Look(self._instances(service, entries), mark, was_reset=mark < former)

    def services(self) -> Sequence[Instance]:
        """See Registry.services. One call for the names and one for each of ours, each with CALL_TIMEOUT of its own."""
        _, names = self._answer(self._client.catalog.services)
        ours = self._answer(lambda: sorted(name for name, tags in names.items() if _TAG in tags))
        return sorted(one for name in ours for one in self.look(name, after=None, wait=0).instances)

    def close(self) -> None:
        """See Registry.close."""
        self._client.http.session.close()

    def _answer(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (ConsulException, OSError) as error:  # requests' own errors too, and a file of the CA that is gone
            raise self._unavailable(str(error) or type(error).__name__) from error
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise self._unavailable("it answered in another way than Consul does") from error

    def _instances(self, service: str, entries: Iterable[Mapping[str, Any]]) -> frozenset[Instance]:
        found = set()
        for entry in self._answer(lambda: list(entries)):
            try:
                about = entry["Service"]
                host = about["Address"] or entry["Node"]["Address"]
                found.add(Instance(service, about["ID"], host, about["Port"]))
            except (ValueError, TypeError, KeyError) as error:
                self._tell_broken(_id_of(entry), error)
        return frozenset(found)

    def _tell_broken(self, entry_id: str, error: Exception) -> None:
        """Says once that somebody else's entry stands among ours."""
        if entry_id not in self._told_broken:
            self._told_broken.add(entry_id)
            log.warning("entry_left_out", registry=self.name, entry=entry_id, reason=str(error))

    def _unavailable(self, reason: str) -> RegistryUnavailable:
        return RegistryUnavailable(
            registry="Consul",
            where=str(self._address),
            reason=reason,
            settings="DISCOVERY_CONSUL_URL (also DISCOVERY_CONSUL_TOKEN, and for https DISCOVERY_CONSUL_CA)",
        )


def _client(address: ConsulAddress) -> Any:
    # Once to connect and once to wait for the answer; a look's wait, and a sixteenth of it, come on top by themselves.
    client = Consul(
        address.host,
        address.port,
        scheme=address.scheme,
        verify=address.ca or True,
        connections_timeout=CALL_TIMEOUT / 2,
    )
    # The environment is the settings' alone: py-consul prefers CONSUL_HTTP_TOKEN to what it is given, and requests
    # takes proxies, and passwords from ~/.netrc.
    client.token = address.token
    client.http.session.trust_env = False
    return client


def _id_of(entry: Any) -> str:
    """What tells one broken entry from another: its service's id, as far as it has one."""
    try:
        return repr(entry["Service"]["ID"])[:200]
    except (TypeError, KeyError):
        return "none"


def _check_id(instance: Instance) -> str:
    return f"service:{instance.id}"

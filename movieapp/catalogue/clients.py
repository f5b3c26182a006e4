"""Clients of the metadata and ratings services: found through the registry, and tried again where that is safe."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from django.conf import settings

from movieapp.rpc.credentials import channel_stamp, open_channel
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from workers.discovery.backends import make_registry
from workers.discovery.background import Background
from workers.discovery.channels import ChannelMaker, ServiceChannel
from workers.discovery.known import KnownInstances
from workers.discovery.registry import Instance, Registry

METADATA_READS = ("GetMetadata", "BatchGetMetadata")
RATING_READS = ("GetAggregatedRating", "BatchGetAggregatedRatings")
"""The methods that are tried again at another instance; a write may have been made before its answer was lost."""

_METADATA_SERVICE = "movieapp.v1.MetadataService"
_RATING_SERVICE = "movieapp.v1.RatingService"

_TURN_WITHIN = 2.0
_STOP_WITHIN = 1.0
_KNOWN_FROM = {
    "static": "static: DISCOVERY_STATIC",
    "consul": "consul: DISCOVERY_CONSUL_URL",
    "etcd": "etcd: DISCOVERY_ETCD_ENDPOINTS",
}
_OPTIONS: Sequence[tuple[str, Any]] = (
    # An instance that is frozen keeps its connections. It is left once it has not answered a ping, sent after half a
    # second of silence, for a second: so that a call which waits for it has time to be tried at another one.
    ("grpc.keepalive_time_ms", 500),
    ("grpc.keepalive_timeout_ms", 1_000),
    ("grpc.http2.ping_timeout_ms", 1_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)

S = TypeVar("S")


class ServiceClient(Generic[S]):
    """Calls of one service, wherever its instances are now: a thread of its own follows them until `close`.

    Threads may share it. `reads` are the methods that may be tried again.
    """

    def __init__(
        self, service: str, *, registry: Registry, make_stub: Callable[[grpc.Channel], S], config: str, longest: float
    ) -> None:
        """No call may take longer than `longest` seconds."""
        self._make_stub = make_stub
        self._channel = ServiceChannel(
            service=service,
            known_from=_KNOWN_FROM.get(registry.name, registry.name),
            maker=ChannelMaker(
                make=lambda target: open_channel(target, options=[*_OPTIONS, ("grpc.service_config", config)]),
                stamp=channel_stamp,
            ),
            longest_deadline=longest,
        )
        self._known = KnownInstances(
            registry=registry, service=service, ttl=settings.DISCOVERY_TTL_SECONDS, on_change=self._follow
        )
        self._tell: Callable[[int], None] = lambda number: None
        self._made: tuple[grpc.Channel | None, S | None] = (None, None)
        self._background = Background(self._turn, name=f"follow-{service}")
        self._background.start()

    def tell_number(self, tell: Callable[[int], None]) -> None:
        """From now on `tell` is told how many instances are known."""
        self._tell = tell
        tell(len(self._known.instances))

    def stub(self, *, patience: float) -> S:
        """The service's methods, for one call. Raises NoInstance.

        Waits up to `patience` seconds, but only while the registry has not been asked yet.
        """
        channel = self._channel.current(patience=patience)
        made_for, stub = self._made
        if made_for is not channel or stub is None:
            stub = self._make_stub(channel)
            self._made = (channel, stub)
        return stub

    def close(self) -> None:
        """Ends all calls; the registry is closed by then, so that no look lasts."""
        self._background.stop(patience=_STOP_WITHIN)
        self._channel.close()

    def _follow(self, instances: frozenset[Instance]) -> None:
        self._channel.follow(instances)
        self._tell(len(instances))

    def _turn(self) -> float:
        pause = self._known.turn(wait=_TURN_WITHIN)
        self._channel.turn()
        return pause


@dataclass(frozen=True, slots=True)
class DetailsClients:
    """The clients of both services that movie details are made of, and the registry that they ask."""

    metadata: ServiceClient[MetadataServiceStub]
    ratings: ServiceClient[RatingServiceStub]
    registry: Registry

    def tell_numbers(self, tell: Callable[[str], Callable[[int], None]]) -> None:
        """From now on what `tell` gives for each service is told how many of its instances are known."""
        self.metadata.tell_number(tell("metadata"))
        self.ratings.tell_number(tell("ratings"))

    def close(self) -> None:
        """Ends all their calls and threads."""
        self.registry.close()
        self.metadata.close()
        self.ratings.close()


def make_details_clients(*, registry: Registry | None = None, longest: float) -> DetailsClients:
    """Clients with threads of their own, which a process makes once. No call may take longer than `longest` seconds.

    Without `registry` it is the one of the settings. Raises UnusableSetting and UnusableCredentials.
    """
    _check_channel_files()  # named here, not with the first instance
    registry = registry or make_registry()
    return DetailsClients(
        metadata=ServiceClient(
            "metadata",
            registry=registry,
            make_stub=MetadataServiceStub,
            config=service_config(_METADATA_SERVICE, reads=METADATA_READS),
            longest=longest,
        ),
        ratings=ServiceClient(
            "ratings",
            registry=registry,
            make_stub=RatingServiceStub,
            config=service_config(_RATING_SERVICE, reads=RATING_READS),
            longest=longest,
        ),
        registry=registry,
    )


def check_files() -> None:
    """Raises UnusableSetting or UnusableCredentials where `make_details_clients` would; asks nobody."""
    _check_channel_files()
    make_registry().close()


def service_config(service: str, *, reads: Sequence[str]) -> str:
    """How gRPC spreads a service's calls over its instances, whom it takes for healthy, and what it tries again."""
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.02s",
        "maxBackoff": "0.2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{"name": [{"service": service, "method": method} for method in reads], "retryPolicy": retry}],
        # All calls that we had at one instance may fail with it; only a service that is down altogether, fifty
        # failures or more and hardly a success, is not asked again and again.
        "retryThrottling": {"maxTokens": _tokens(), "tokenRatio": 0.5},
    }
    return json.dumps(config)


def _tokens() -> int:
    """Each failure takes one, and below half of them nothing is tried again; gRPC takes no more than 1,000."""
    return min(1_000, max(100, 4 * settings.GRPC_THREADS))


def _check_channel_files() -> None:
    open_channel("ipv4:127.0.0.1:1").close()

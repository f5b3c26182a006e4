"""The registry in etcd: a key with a lease for each instance.

aetcd's generated stubs over a synchronous channel: its client is for asyncio (docs/decisions/0014-discovery.md).
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
from aetcd import rpc

from workers.discovery.errors import NotRegistered, RegistryUnavailable
from workers.discovery.registry import CALL_TIMEOUT, Instance, Look, Mark

log = structlog.get_logger(__name__)
T = TypeVar("T")

_PREFIX = "/movieapp/services/"
_SLACK = 0.05
"""Seconds by which two machines may measure a wait differently."""
_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),  # etcd ends connections that ping more often than each 5 s
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_500),  # how long one attempt to connect may take: half of CALL_TIMEOUT
    # A registry that is back must hear of everybody within the shortest TTL, 2 s.
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
    # Each registry its own connection: one that is closed or broken takes no other along.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdTls:
    """Contents of PEM files: who signs etcd's certificates, and where etcd wants one, our own with its key."""

    ca: bytes
    certificate: bytes | None = None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    """A wiped etcd that is started as before has the same cluster id: then its lower revision tells."""

    cluster_id: int
    revision: int
    instances: frozenset[Instance]

    def is_of_former(self, now: "_Mark") -> bool:
        return now.cluster_id != self.cluster_id or now.revision < self.revision


class _Member:
    """A member of the cluster, and what can be asked of it.

    The stubs are made before any other thread can close the channel: making one on a closed channel uses memory that is
    free already (grpcio 1.85, `_get_registered_call_handle`), where a call is only refused.
    """

    def __init__(self, endpoint: str, tls: EtcdTls | None) -> None:
        self._channel = _channel(endpoint, tls)
        self.kv = rpc.KVStub(self._channel)
        self.lease = rpc.LeaseStub(self._channel)
        self.watch = rpc.WatchStub(self._channel)

    def close(self) -> None:
        """Ends all calls; later ones raise ValueError."""
        self._channel.close()


class EtcdRegistry:
    """See Registry."""

    name = "etcd"

    def __init__(self, endpoints: Sequence[str], *, tls: EtcdTls | None = None) -> None:
        """`endpoints` are `host:port` of members of one cluster: the one that answered last is asked first."""
        self._endpoints = tuple(endpoints)
        self._members = [_Member(endpoint, tls) for endpoint in self._endpoints]
        self._preferred = 0
        self._leases: dict[str, int] = {}
        self._told_broken: set[bytes] = set()

    def register(self, instance: Instance, *, ttl: float) -> None:
        """See Registry.register. A lease that the instance had before ends by itself, with no key any more."""
        value = json.dumps({"host": instance.host, "port": instance.port})

        def put(member: _Member, timeout: float) -> int:
            grant = member.lease.LeaseGrant(rpc.LeaseGrantRequest(TTL=math.ceil(ttl)), timeout=timeout / 2)
            entry = rpc.PutRequest(key=_key(instance), value=value.encode(), lease=grant.ID)
            member.kv.Put(entry, timeout=timeout / 2)
            return int(grant.ID)

        self._leases[instance.id] = self._answer(put)

    def heartbeat(self, instance: Instance) -> None:
        """See Registry.heartbeat."""
        lease = self._leases.get(instance.id)

        def is_kept(member: _Member, timeout: float) -> bool:
            return _is_kept(member, lease, _key(instance), timeout=timeout)

        if lease is None or not self._answer(is_kept):
            raise NotRegistered(service=instance.service, instance_id=instance.id)

    def deregister(self, instance: Instance) -> None:
        """See Registry.deregister."""

        def delete(member: _Member, timeout: float) -> None:
            member.kv.DeleteRange(rpc.DeleteRangeRequest(key=_key(instance)), timeout=timeout / 2)
            if lease := self._leases.pop(instance.id, None):
                _revoke(member, lease, timeout / 2)

        self._answer(delete)

    def look(self, service: str, *, after: Mark | None, wait: float) -> Look:
        """See Registry.look.

        Reads first and watches from the revision that it has read: a compaction, a reconnect or a wiped server in
        between cannot hide a change, as they could from a watch that goes on at an old revision.
        """
        prefix = f"{_PREFIX}{service}/".encode()
        now = self._read(prefix, within=CALL_TIMEOUT / 2)
        if isinstance(after, _Mark) and not after.is_of_former(now) and now.instances == after.instances and wait > 0:
            self._watch(prefix, from_revision=now.revision + 1, wait=wait)
            now = self._read(prefix, within=CALL_TIMEOUT / 2)
        return Look(now.instances, now, was_reset=isinstance(after, _Mark) and after.is_of_former(now))

    def services(self) -> Sequence[Instance]:
        """See Registry.services."""
        return sorted(self._read(_PREFIX.encode(), within=CALL_TIMEOUT).instances)

    def close(self) -> None:
        """See Registry.close."""
        for member in self._members:
            member.close()

    def _read(self, prefix: bytes, *, within: float) -> _Mark:
        wanted = rpc.RangeRequest(key=prefix, range_end=_end_of(prefix))

        def read(member: _Member, timeout: float) -> Any:
            return member.kv.Range(wanted, timeout=timeout)

        found = self._answer(read, within=within)
        instances = frozenset(one for entry in found.kvs if (one := self._instance(entry)) is not None)
        return _Mark(found.header.cluster_id, found.header.revision, instances)

    def _watch(self, prefix: bytes, *, from_revision: int, wait: float) -> None:
        """Returns at the first event, when the watch must be begun anew, or after `wait` seconds."""
        wanted = rpc.WatchCreateRequest(key=prefix, range_end=_end_of(prefix), start_revision=from_revision)
        end = time.monotonic() + wait
        watch = self._members[self._preferred].watch.Watch
        try:
            with _stream(watch, rpc.WatchRequest(create_request=wanted), timeout=wait) as answers:
                for answer in answers:
                    if answer.canceled and not answer.compact_revision:
                        raise self._unavailable(answer.cancel_reason or "it ended the watch")
                    if answer.canceled or answer.events:
                        return
        except (grpc.RpcError, ValueError) as error:
            # At the end of the time etcd's own word for it, UNKNOWN, may come before grpc's.
            if time.monotonic() < end - _SLACK:
                raise self._unavailable(_words(error)) from error

    def _answer(self, ask: Callable[[_Member, float], T], *, within: float = CALL_TIMEOUT) -> T:
        """What the first member answers that does, all within so many seconds."""
        said: Exception | None = None
        first = self._preferred  # each thread goes round by itself: another one's steps would take it past a member
        for step in range(len(self._members)):
            place = (first + step) % len(self._members)
            try:
                answer = ask(self._members[place], within / len(self._members))
            except (grpc.RpcError, ValueError) as error:  # ValueError: the channel is closed
                said = error
            else:
                self._preferred = place
                return answer
        assert said is not None
        raise self._unavailable(_words(said)) from said

    def _instance(self, entry: Any) -> Instance | None:
        """None, and said once, where somebody else's entry stands among ours."""
        try:
            service, instance_id = entry.key.decode().removeprefix(_PREFIX).split("/")
            value = json.loads(entry.value)
            return Instance(service, instance_id, value["host"], value["port"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:  # the last one: JSON, a thousand lists deep
            if entry.key not in self._told_broken:
                self._told_broken.add(entry.key)
                log.warning("entry_left_out", registry=self.name, key=repr(entry.key), reason=type(error).__name__)
            return None

    def _unavailable(self, reason: str) -> RegistryUnavailable:
        return RegistryUnavailable(
            registry=self.name,
            where=", ".join(self._endpoints),
            reason=reason,
            settings="DISCOVERY_ETCD_ENDPOINTS (for TLS also DISCOVERY_ETCD_CA, _CERTIFICATE and _KEY)",
        )


def _channel(endpoint: str, tls: EtcdTls | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(endpoint, options=_CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    return grpc.secure_channel(endpoint, credentials, options=_CHANNEL_OPTIONS)


def _key(instance: Instance) -> bytes:
    return f"{_PREFIX}{instance.service}/{instance.id}".encode()


def _end_of(prefix: bytes) -> bytes:
    """The first key after all that begin with the prefix, which ends with a `/`."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


@contextmanager
def _stream(method: Any, request: Any, *, timeout: float) -> Iterator[Iterator[Any]]:
    """The answers to one request. Our side stays open for the block: etcd ends a stream whose client has finished."""
    done = threading.Event()

    def requests() -> Iterator[Any]:
        yield request
        done.wait()

    call = method(requests(), timeout=timeout)
    try:
        yield call
    finally:
        done.set()
        call.cancel()


def _is_kept(member: _Member, lease: int | None, key: bytes, *, timeout: float) -> bool:
    """Keeps a lease alive; False for one that is over, which etcd answers with a TTL of 0, and one without its key.

    A lease that lives may have lost its key: to somebody's `etcdctl del`. Both are asked at once, as one after the
    other would take twice as long where etcd is far away.
    """
    keep_alive = member.lease.LeaseKeepAlive
    with _stream(keep_alive, rpc.LeaseKeepAliveRequest(ID=lease), timeout=timeout) as answers:
        found = member.kv.Range(rpc.RangeRequest(key=key, count_only=True), timeout=timeout)
        answer = next(answers, None)
        return answer is not None and answer.TTL > 0 and bool(found.count)


def _revoke(member: _Member, lease: int, timeout: float) -> None:
    try:
        member.lease.LeaseRevoke(rpc.LeaseRevokeRequest(ID=lease), timeout=timeout)
    except grpc.RpcError as error:
        if _code(error) is not grpc.StatusCode.NOT_FOUND:
            raise


def _code(error: Exception) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None


def _words(error: Exception) -> str:
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)

"""One contract for the registries that instances enter and leave: in memory, etcd and Consul."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from aetcd import rpc

from movieapp.devstack.ports import LOOPBACK, free_port
from tests.fixtures.registries import RegistryServer
from tests.waiting import wait_until
from workers.discovery.consul import ConsulAddress, ConsulRegistry
from workers.discovery.errors import NotRegistered, RegistryUnavailable
from workers.discovery.etcd import EtcdRegistry
from workers.discovery.memory import MemoryRegistry, MemoryRegistryServer
from workers.discovery.registry import CALL_TIMEOUT, Instance, Look, Registry

TTL = 2.0
"""Seconds; the shortest that etcd takes."""
LATE = 3.0
"""For how many seconds after its TTL an instance may still be listed: etcd looks each half second, a busy machine."""


@dataclass
class World:
    """A registry under test, the names of this test's own in it, and how to make connections to it."""

    connect: Callable[[], Registry]
    ttl: float = TTL
    service: str = field(default_factory=lambda: f"s-{uuid.uuid4().hex[:12]}")
    made: list[Registry] = field(default_factory=list)

    def registry(self) -> Registry:
        self.made.append(self.connect())
        return self.made[-1]

    def instance(self, name: str, *, service: str = "", port: int = 8082) -> Instance:
        service = service or self.service
        return Instance(service, f"{service}-{name}", "10.0.0.1", port)

    def names(self, registry: Registry, service: str = "") -> set[str]:
        look = registry.look(service or self.service, after=None, wait=0.0)
        return {one.id.rpartition("-")[2] for one in look.instances}

    def close(self) -> None:
        for registry in self.made:
            registry.close()


def consul_at(port: int) -> ConsulRegistry:
    return ConsulRegistry(ConsulAddress(scheme="http", host=LOOPBACK, port=port))


def etcd_at(port: int) -> EtcdRegistry:
    return EtcdRegistry([f"{LOOPBACK}:{port}"])


def connector(server: RegistryServer) -> Callable[[], Registry]:
    at = etcd_at if server.kind == "etcd" else consul_at
    return lambda: at(server.port)


@pytest.fixture(params=["memory", "etcd", "consul"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        server = MemoryRegistryServer()
        made = World(lambda: MemoryRegistry(server), ttl=0.4)
    else:
        made = World(connector(request.getfixturevalue(request.param)))
    yield made
    made.close()


def test_who_is_registered_is_seen_by_all_as_it_is(world: World) -> None:
    ours, theirs = world.registry(), world.registry()
    first, second = world.instance("a"), world.instance("b", port=9082)
    ours.register(first, ttl=60.0)
    theirs.register(second, ttl=60.0)
    for registry in (ours, theirs):
        wait_until(lambda: world.names(registry) == {"a", "b"})  # noqa: B023 - called before the next turn
        assert registry.look(world.service, after=None, wait=0.0).instances == {first, second}


def test_a_look_waits_for_the_next_change(world: World) -> None:
    ours, theirs = world.registry(), world.registry()
    ours.register(world.instance("a"), ttl=60.0)
    wait_until(lambda: world.names(theirs) == {"a"})
    look = _quiet_look(theirs, world.service)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_until, theirs, world.service, look, {world.instance("a"), world.instance("b")})
        ours.register(world.instance("b"), ttl=60.0)
        look = waiting.result(timeout=10)
        # What has changed before the look begins is no less seen.
        ours.deregister(world.instance("a"))
        waiting = pool.submit(_until, theirs, world.service, look, {world.instance("b")})
        waiting.result(timeout=10)


def test_a_look_without_a_change_ends_in_time(world: World) -> None:
    registry = world.registry()
    registry.register(world.instance("a"), ttl=60.0)
    wait_until(lambda: world.names(registry) == {"a"})
    look = _quiet_look(registry, world.service)
    began = time.monotonic()
    after = registry.look(world.service, after=look.mark, wait=0.3)
    assert 0.29 <= time.monotonic() - began < 5
    assert (after.instances, after.was_reset) == (look.instances, False)


def test_one_deregisters_only_oneself(world: World) -> None:
    ours, theirs = world.registry(), world.registry()
    ours.register(world.instance("a"), ttl=60.0)
    theirs.register(world.instance("b"), ttl=60.0)
    for _ in range(2):  # the second time it is gone already
        ours.deregister(world.instance("a"))
        wait_until(lambda: world.names(ours) == {"b"})
    theirs.heartbeat(world.instance("b"))
    with pytest.raises(NotRegistered):
        ours.heartbeat(world.instance("a"))


def test_a_heartbeat_of_one_that_was_never_registered_is_refused(world: World) -> None:
    with pytest.raises(NotRegistered, match="knows no instance"):
        world.registry().heartbeat(world.instance("a"))


def test_who_is_silent_for_a_ttl_drops_out_and_may_come_back(world: World) -> None:
    registry = world.registry()
    silent, alive, again = (world.instance(name) for name in ("silent", "alive", "again"))
    for one in (silent, alive, again):
        registry.register(one, ttl=world.ttl)
    wait_until(lambda: world.names(registry) == {"silent", "alive", "again"})
    began = time.monotonic()
    while time.monotonic() - began < world.ttl * 1.5 or "silent" in world.names(registry):
        registry.heartbeat(alive)
        registry.register(again, ttl=world.ttl)
        assert world.names(registry) >= {"alive", "again"}
        assert time.monotonic() - began < world.ttl + LATE
        time.sleep(world.ttl / 6)
    try:
        registry.heartbeat(silent)  # as a registrar does with one that was ill for a while
    except NotRegistered:
        registry.register(silent, ttl=world.ttl)
    wait_until(lambda: world.names(registry) == {"silent", "alive", "again"}, timeout=5)


def test_all_services_are_listed_in_order(world: World) -> None:
    registry = world.registry()
    other = f"{world.service}-other"
    made = [world.instance("b"), world.instance("a"), world.instance("c", service=other)]
    for one in made:
        registry.register(one, ttl=60.0)

    def ours() -> list[Instance]:
        return [one for one in registry.services() if one.service.startswith(world.service)]

    wait_until(lambda: len(ours()) == 3)
    assert ours() == sorted(made)


class TestAway:
    """What a registry that does not answer looks like; each of a test's own."""

    @pytest.mark.parametrize(
        ("connect", "setting"), [(etcd_at, "DISCOVERY_ETCD_ENDPOINTS"), (consul_at, "DISCOVERY_CONSUL_URL")]
    )
    def test_where_nobody_listens_every_call_says_so(self, connect: Callable[[int], Registry], setting: str) -> None:
        world = World(lambda: connect(free_port()))
        registry = world.registry()
        for call in _calls(world, registry):
            with pytest.raises(RegistryUnavailable, match=rf"127\.0\.0\.1:\d+ did not do .*{setting}"):
                call()
        registry.close()

    @pytest.mark.parametrize("kind", ["etcd", "consul"])
    def test_a_frozen_one_is_unavailable_and_a_wiped_one_was_reset(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        server: RegistryServer = request.getfixturevalue(f"private_{kind}")
        world = World(connector(server))
        registry, ours = world.registry(), world.instance("a")
        for _ in range(30):  # a wiped one must not have come this far already
            registry.register(ours, ttl=60.0)
            registry.deregister(ours)
        registry.register(ours, ttl=60.0)
        wait_until(lambda: world.names(registry) == {"a"})
        look = _quiet_look(registry, world.service)
        server.freeze()
        began = time.monotonic()
        with pytest.raises(RegistryUnavailable):
            registry.look(world.service, after=look.mark, wait=0.5)
        assert time.monotonic() - began < 0.5 + CALL_TIMEOUT + 1.0
        server.thaw()
        server.stop()
        with pytest.raises(RegistryUnavailable):
            registry.heartbeat(ours)
        server.start()
        wiped = wait_until(lambda: _look_if_there(registry, world.service, look), timeout=10)
        assert (wiped.instances, wiped.was_reset) == (frozenset(), True)
        with pytest.raises(NotRegistered):
            registry.heartbeat(ours)
        registry.register(ours, ttl=60.0)
        wait_until(lambda: world.names(registry) == {"a"}, timeout=10)
        world.close()


class TestEtcd:
    """What only etcd has."""

    @pytest.fixture
    def world(self, etcd: RegistryServer) -> Iterator[World]:
        made = World(connector(etcd))
        yield made
        made.close()

    @pytest.fixture
    def registry(self, world: World) -> Any:
        return world.registry()

    def test_a_compaction_hides_no_change(self, world: World, registry: EtcdRegistry) -> None:
        registry.register(world.instance("a"), ttl=60.0)
        look = registry.look(world.service, after=None, wait=0.0)
        registry.deregister(world.instance("a"))
        registry.register(world.instance("b"), ttl=60.0)
        _compact(registry)
        assert registry.look(world.service, after=look.mark, wait=30.0).instances == {world.instance("b")}

    def test_a_watch_from_a_revision_that_was_compacted_ends_at_once(
        self, world: World, registry: EtcdRegistry
    ) -> None:
        registry.register(world.instance("a"), ttl=60.0)
        _compact(registry)
        began = time.monotonic()
        registry._watch(b"/movieapp/", from_revision=1, wait=30.0)
        assert time.monotonic() - began < 10

    def test_a_key_that_somebody_deleted_is_put_again(self, world: World, registry: EtcdRegistry) -> None:
        registry.register(world.instance("a"), ttl=60.0)
        world.registry().deregister(world.instance("a"))
        with pytest.raises(NotRegistered):
            registry.heartbeat(world.instance("a"))

    def test_what_is_no_instance_is_left_out(self, world: World, registry: EtcdRegistry) -> None:
        registry.register(world.instance("a"), ttl=60.0)
        prefix = f"/movieapp/services/{world.service}/"
        for name, value in (
            ("x", b"no json"),
            ("y", b'{"host": "h"}'),
            ("z", b'{"host": "h", "port": 0}'),
            ("l", b"[1]"),
            ("n", b"\xff"),
            ("deep", b"[" * 100_000),
            ("odd", b'{"host": "a..b", "port": 1}'),
            ("deeper/x", b'{"host": "h", "port": 1}'),
        ):
            registry._members[0].kv.Put(rpc.PutRequest(key=(prefix + name).encode(), value=value), timeout=5)
        registry._members[0].kv.Put(rpc.PutRequest(key=prefix.encode() + b"\xff", value=b"{}"), timeout=5)
        try:
            assert world.names(registry) == {"a"}
            assert world.instance("a") in registry.services()
        finally:  # whoever else looks through this etcd would be told of them
            everything = rpc.DeleteRangeRequest(key=prefix.encode(), range_end=prefix[:-1].encode() + b"0")
            registry._members[0].kv.DeleteRange(everything, timeout=5)

    def test_another_member_answers_for_one_that_is_away(self, world: World, etcd: RegistryServer) -> None:
        registry = EtcdRegistry([f"{LOOPBACK}:{free_port()}", etcd.address])
        registry.register(world.instance("a"), ttl=60.0)
        registry.heartbeat(world.instance("a"))
        assert world.names(registry) == {"a"}
        registry.close()

    def test_closing_ends_a_look_that_waits(self, world: World, registry: EtcdRegistry) -> None:
        look = registry.look(world.service, after=None, wait=0.0)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(registry.look, world.service, after=look.mark, wait=30.0)
            registry.close()
            with pytest.raises(RegistryUnavailable):
                waiting.result(timeout=10)


class TestConsul:
    """What only Consul has."""

    @pytest.fixture
    def world(self, consul: RegistryServer) -> Iterator[World]:
        made = World(connector(consul))
        yield made
        made.close()

    @pytest.fixture
    def registry(self, world: World) -> Any:
        return world.registry()

    def test_others_services_are_not_listed_and_a_service_without_an_address_is_at_its_node(
        self, world: World, registry: ConsulRegistry
    ) -> None:
        registry._client.agent.service.register(world.service, service_id="theirs", port=7)
        wait_until(lambda: world.names(registry) == {"theirs"})
        (found,) = registry.look(world.service, after=None, wait=0.0).instances
        assert found == Instance(world.service, "theirs", LOOPBACK, 7)
        assert [one for one in registry.services() if one.service in (world.service, "consul")] == []
        registry._client.agent.service.deregister("theirs")

    def test_who_fails_another_check_is_not_called(self, world: World, registry: ConsulRegistry) -> None:
        registry.register(world.instance("a"), ttl=60.0)
        wait_until(lambda: world.names(registry) == {"a"})
        registry._client.agent.check.ttl_fail(f"service:{world.instance('a').id}")
        wait_until(lambda: world.names(registry) == set())
        registry.heartbeat(world.instance("a"))
        wait_until(lambda: world.names(registry) == {"a"})

    def test_the_environments_proxies_are_not_asked(
        self, world: World, registry: ConsulRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert world.names(registry) == set()


def _compact(registry: EtcdRegistry) -> None:
    now = registry._members[0].kv.Range(rpc.RangeRequest(key=b"/"), timeout=5).header.revision
    registry._members[0].kv.Compact(rpc.CompactionRequest(revision=now), timeout=5)


def _quiet_look(registry: Registry, service: str) -> Look:
    """A look after which nothing is under way any more: Consul's index goes on a little after a registration."""
    look = registry.look(service, after=None, wait=0.0)
    while True:
        began = time.monotonic()
        look = registry.look(service, after=look.mark, wait=0.2)
        if time.monotonic() - began >= 0.2:
            return look


def _until(registry: Registry, service: str, look: Look, wanted: set[Instance]) -> Look:
    """A look at the wanted ones; each look on the way may take longer than a test waits, unless something changes."""
    while look.instances != wanted:
        look = registry.look(service, after=look.mark, wait=30.0)
        assert not look.was_reset
    return look


def _look_if_there(registry: Registry, service: str, former: Look) -> Look | None:
    try:
        return registry.look(service, after=former.mark, wait=0.2)
    except RegistryUnavailable:
        return None


def _calls(world: World, registry: Registry) -> list[Callable[[], object]]:
    instance = world.instance("a")
    calls: list[Callable[[], object]] = [
        lambda: registry.register(instance, ttl=TTL),
        lambda: registry.deregister(instance),
        lambda: registry.look(world.service, after=None, wait=0.0),
        registry.services,
    ]
    # etcd's knows without asking that it has registered nobody.
    return [*calls, lambda: registry.heartbeat(instance)] if registry.name == "consul" else calls

"""Which instances a client takes for alive, whatever its registry says or does not say."""

import pytest
import structlog

from tests.unit.discovery.scene import TTL, Scene, instance
from workers.discovery.known import KnownInstances
from workers.discovery.registry import Instance, Look, Mark

A, B, C = instance("a", port=1), instance("b", port=2), instance("c", port=3)


class World(Scene):
    """A client, and every set that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[frozenset[Instance]] = []
        self.known = KnownInstances(
            registry=self.registry, service="ratings", ttl=TTL, on_change=self.told.append, clock=self.clock
        )

    def register(self, *instances: Instance) -> None:
        for one in instances:
            self.registry.register(one, ttl=1_000.0)

    def turn(self) -> set[Instance]:
        self.known.turn(wait=0.0)
        assert not self.told or self.told[-1] == self.known.instances
        return set(self.known.instances)


@pytest.fixture
def world() -> World:
    return World()


def test_who_comes_and_goes_is_told_once(world: World) -> None:
    assert world.turn() == set()
    assert world.told == []
    world.register(A, B)
    assert world.turn() == {A, B}
    assert world.turn() == {A, B}
    world.registry.deregister(A)
    assert world.turn() == {B}
    assert world.told == [{A, B}, {B}]


def test_another_services_instances_are_not_ours(world: World) -> None:
    world.register(A, Instance("metadata", "m", "10.0.0.1", 9))
    assert world.turn() == {A}


def test_an_empty_list_is_believed_where_nothing_was_amiss(world: World) -> None:
    world.register(A)
    world.turn()
    world.registry.deregister(A)
    assert world.turn() == set()


def test_the_last_known_set_stays_while_the_registry_is_away(world: World) -> None:
    world.register(A, B)
    world.turn()
    world.server.away = True
    for _ in range(20):
        world.clock.sleep(world.known.turn(wait=0.0))
        assert world.known.instances == {A, B}
    assert world.told == [{A, B}]


def test_an_outage_is_told_once_with_what_to_look_at(world: World) -> None:
    world.server.away = True
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            world.turn()
    assert [(log["event"], log["reason"], log["settings"]) for log in logs] == [
        ("registry_away", "it is away", "the test")
    ]


def test_delays_of_an_outage_grow_to_five_seconds_and_begin_anew_after_it(world: World) -> None:
    world.server.away = True
    delays = [world.known.turn(wait=0.0) for _ in range(12)]
    assert 0.1 <= delays[0] <= 0.2
    assert 2.5 <= delays[-1] <= 5.0
    world.server.away = False
    world.turn()
    world.server.away = True
    assert world.known.turn(wait=0.0) <= 0.2


def _away_for_a_moment(world: World) -> None:
    world.server.away = True
    world.turn()
    world.server.away = False


@pytest.mark.parametrize("outage", [True, False], ids=["after an outage", "after a reset"])
def test_who_is_missing_is_given_up_one_ttl_later(world: World, outage: bool) -> None:
    world.register(A, B)
    world.turn()
    if outage:
        _away_for_a_moment(world)
    world.server.wipe()
    assert world.turn() == {A, B}
    world.clock.sleep(TTL * 0.9)
    world.register(B)
    assert world.turn() == {A, B}
    world.clock.sleep(TTL * 0.1)
    assert world.turn() == {B}


class TestStandingStill:
    """A registry that is frozen takes off, when it goes on, whose heartbeats it did not hear meanwhile."""

    @pytest.fixture
    def world(self, world: World) -> World:
        world.register(A, B)
        world.turn()
        return world

    def look_of(self, world: World, seconds: float, *, then_missing: Instance | None = None) -> set[Instance]:
        """One turn whose look takes so long, and after whose answer somebody is taken off."""
        look = world.registry.look

        def slow(service: str, *, after: Mark | None, wait: float) -> Look:
            world.clock.sleep(seconds)
            return look(service, after=after, wait=wait)

        world.registry.look = slow  # type: ignore[method-assign]
        found = world.turn()
        world.registry.look = look  # type: ignore[method-assign]
        if then_missing:
            world.registry.deregister(then_missing)
        return found

    @pytest.mark.parametrize("when", ["in that look", "in the next"])
    def test_who_is_missing_is_given_up_one_ttl_later(self, world: World, when: str) -> None:
        if when == "in that look":
            world.registry.deregister(A)
            assert self.look_of(world, TTL / 3 + 0.1) == {A, B}
        else:
            assert self.look_of(world, TTL / 3 + 0.1, then_missing=A) == {A, B}
        assert world.turn() == {A, B}
        world.clock.sleep(TTL)
        assert world.turn() == {B}

    def test_a_look_that_is_only_slow_is_believed(self, world: World) -> None:
        world.registry.deregister(A)
        assert self.look_of(world, TTL / 3 - 0.1) == {B}

    def test_one_that_is_always_slow_loses_those_who_died_nevertheless(self, world: World) -> None:
        assert self.look_of(world, TTL / 3 + 0.1, then_missing=A) == {A, B}
        looks = [self.look_of(world, TTL / 3 + 0.1) for _ in range(4)]
        assert looks[0] == {A, B}
        assert looks[-1] == {B}


def test_who_has_come_back_and_then_leaves_is_gone_at_once(world: World) -> None:
    world.register(A, B)
    world.turn()
    _away_for_a_moment(world)
    world.server.wipe()
    world.turn()
    world.register(A)
    assert world.turn() == {A, B}
    world.registry.deregister(A)
    assert world.turn() == {B}


def test_a_newcomer_counts_while_others_are_in_doubt(world: World) -> None:
    world.register(A)
    world.turn()
    _away_for_a_moment(world)
    world.server.wipe()
    world.register(C)
    assert world.turn() == {A, C}


def test_who_was_started_anew_at_its_address_takes_the_former_ones_place(world: World) -> None:
    world.register(A, B)
    world.turn()
    _away_for_a_moment(world)
    world.server.wipe()
    again = instance("a-again", port=A.port)
    world.register(again)
    assert world.turn() == {again, B}


def test_a_second_outage_begins_the_ttl_anew(world: World) -> None:
    world.register(A)
    world.turn()
    _away_for_a_moment(world)
    world.server.wipe()
    world.turn()
    world.clock.sleep(TTL * 0.9)
    _away_for_a_moment(world)
    assert world.turn() == {A}
    world.clock.sleep(TTL * 0.9)
    assert world.turn() == {A}
    world.clock.sleep(TTL * 0.1)
    assert world.turn() == set()


def test_a_look_ends_when_somebody_is_to_be_given_up(world: World) -> None:
    """Nothing changes in the registry then, so that the look itself would wait on."""
    waits = []
    look = world.registry.look

    def spied(service, *, after, wait):
        waits.append(wait)
        return look(service, after=after, wait=0.0)

    world.registry.look = spied  # type: ignore[method-assign]
    world.register(A)
    world.known.turn(wait=30.0)
    _away_for_a_moment(world)
    world.server.wipe()
    world.known.turn(wait=30.0)
    world.clock.sleep(TTL - 1.0)
    world.known.turn(wait=30.0)
    assert waits[-1] == pytest.approx(1.0)
    world.clock.sleep(1.0)
    world.known.turn(wait=30.0)
    assert world.known.instances == set()
    world.known.turn(wait=30.0)
    assert waits[-1] == TTL / 3

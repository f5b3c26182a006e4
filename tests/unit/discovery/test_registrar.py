"""What keeps an instance registered, what takes it off, and what the registry may do in between."""

import threading
from collections.abc import Callable

import pytest

from tests.unit.discovery.scene import TTL, Scene, instance
from tests.waiting import wait_until
from workers.discovery.memory import MemoryRegistry
from workers.discovery.registrar import Registrar
from workers.discovery.registry import Instance

OURS = instance("ours")


class World(Scene):
    """A registrar, and whether the instance is healthy."""

    def __init__(self) -> None:
        super().__init__()
        self.healthy = True
        self.registrar = Registrar(
            registry=self.registry, instance=OURS, ttl=TTL, is_healthy=lambda: self.healthy, clock=self.clock
        )

    def run(self, seconds: float) -> None:
        """Turns as they are due."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.sleep(min(self.registrar.turn(), end - self.clock.now))


@pytest.fixture
def world() -> World:
    return World()


def test_it_registers_at_once_and_beats_three_times_a_ttl(world: World) -> None:
    assert world.registrar.turn() == TTL / 3
    assert world.listed == {"ours"}
    world.run(10 * TTL)
    assert world.listed == {"ours"}
    world.clock.sleep(TTL)
    assert world.listed == set()


def test_it_beats_as_often_where_the_registry_is_slow(world: World) -> None:
    """What the answer took is part of the pause; where it took longer the next turn is due at once."""
    times = iter([1.0, 0.9 * TTL])

    class Slow(MemoryRegistry):
        def heartbeat(self, instance: Instance) -> None:
            super().heartbeat(instance)
            world.clock.sleep(next(times))

    registrar = Registrar(
        registry=Slow(world.server), instance=OURS, ttl=TTL, is_healthy=lambda: True, clock=world.clock
    )
    pauses = [registrar.turn() for _ in range(3)]
    assert pauses == pytest.approx([TTL / 3, TTL / 3 - 1.0, 0.0])


def test_who_is_not_healthy_is_never_registered(world: World) -> None:
    world.healthy = False
    world.run(TTL)
    assert world.listed == set()
    world.healthy = True
    assert world.registrar.turn() == TTL / 3
    assert world.listed == {"ours"}


def test_who_falls_ill_drops_out_within_a_ttl_and_comes_back(world: World) -> None:
    world.run(TTL)
    world.healthy = False
    world.run(TTL)
    assert world.listed == set()
    world.healthy = True
    world.run(1.0)
    assert world.listed == {"ours"}


def test_a_registry_that_has_forgotten_it_is_told_again_in_the_same_turn(world: World) -> None:
    world.registrar.turn()
    world.server.wipe()
    assert world.registrar.turn() == TTL / 3
    assert world.listed == {"ours"}


def test_a_registry_that_is_away_is_asked_again_and_again(world: World) -> None:
    world.server.away = True
    delays = [world.registrar.turn() for _ in range(12)]
    assert not world.registrar.is_registered
    assert 0.1 <= delays[0] <= 0.2
    assert all(TTL / 6 <= delay <= TTL / 3 for delay in delays[-3:])
    world.server.away = False
    assert world.registrar.turn() == TTL / 3
    assert world.listed == {"ours"}


def test_an_outage_shorter_than_the_ttl_is_not_noticed(world: World) -> None:
    world.registrar.turn()
    world.server.away = True
    world.run(TTL / 2)
    world.server.away = False
    world.run(TTL / 3)
    assert world.listed == {"ours"}


def test_the_first_delay_after_an_outage_is_short_again(world: World) -> None:
    for away in (True, False, True):
        world.server.away = away
        world.run(TTL)
    world.server.away = False
    world.registrar.turn()
    world.server.away = True
    assert world.registrar.turn() <= 0.2


def test_stop_takes_off_this_one_and_nobody_else(world: World) -> None:
    other = instance("other")
    world.registry.register(other, ttl=TTL)
    world.registrar.turn()
    assert world.listed == {"ours", "other"}
    world.registrar.stop()
    assert world.listed == {"other"}
    assert world.registrar.turn() == TTL
    world.registrar.stop()
    assert world.listed == {"other"}


def test_stop_of_one_that_never_registered_asks_nothing(world: World) -> None:
    world.server.away = True
    world.registrar.stop()


def test_stop_survives_a_registry_that_is_away(world: World) -> None:
    world.registrar.turn()
    world.server.away = True
    world.registrar.stop()
    world.server.away = False
    assert world.registrar.turn() == TTL
    world.clock.sleep(TTL)
    assert world.listed == set()


def test_a_registration_whose_answer_was_lost_is_taken_back_by_stop(world: World) -> None:
    class Lossy(MemoryRegistry):
        def register(self, instance: Instance, *, ttl: float) -> None:
            super().register(instance, ttl=ttl)
            world.server.away = True
            self._answer()

    registrar = Registrar(
        registry=Lossy(world.server), instance=OURS, ttl=TTL, is_healthy=lambda: True, clock=world.clock
    )
    registrar.turn()
    world.server.away = False
    assert world.listed == {"ours"}
    registrar.stop()
    assert world.listed == set()


def test_a_stop_during_a_turn_leaves_nobody_registered(world: World) -> None:
    """The turn is in the registry's answer when somebody stops: what it registers must be taken off after it."""
    entered, go_on = threading.Event(), threading.Event()

    class Slow(MemoryRegistry):
        def register(self, instance: Instance, *, ttl: float) -> None:
            entered.set()
            go_on.wait(10)
            super().register(instance, ttl=ttl)

    registrar = Registrar(
        registry=Slow(world.server), instance=OURS, ttl=TTL, is_healthy=lambda: True, clock=world.clock
    )
    turn = _thread(lambda: registrar.turn())
    assert entered.wait(10)
    stop = _thread(registrar.stop)
    wait_until(lambda: registrar._stopped)
    go_on.set()
    turn.join(10)
    stop.join(10)
    assert world.listed == set()


def _thread(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread

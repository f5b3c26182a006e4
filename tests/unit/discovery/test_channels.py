"""Which channel a call gets while instances come and go, and how long a former one is left to its calls."""

import threading
import time
from collections.abc import Callable

import pytest
import structlog

from tests.unit.discovery.scene import FakeClock, instance
from workers.discovery import channels, names
from workers.discovery.channels import ChannelMaker, ServiceChannel
from workers.discovery.errors import NoInstance
from workers.discovery.registry import Instance

A, B = instance("a", port=1), instance("b", port=2)
NAMED = instance("n", port=3, host="ratings.internal")
LONGEST = 10.0


class FakeChannel:
    """Knows for whom it was made, and whether it was closed."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class World:
    """A service's channel, and all channels that were made for it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.made: list[FakeChannel] = []
        self.found: dict[str, list[str]] = {"ratings.internal": ["10.0.0.7"]}
        self.stamp = 1
        self.fault: Exception | None = None
        self.resolver_hangs = False
        self.look_ups: list[Callable[[], None]] = []
        self.channel = ServiceChannel(
            service="ratings",
            known_from="static: DISCOVERY_STATIC",
            maker=ChannelMaker(make=self._make, stamp=lambda: self.stamp),
            longest_deadline=LONGEST,
            clock=self.clock,
            look_up=self._look_up,
        )

    def follow(self, *instances: Instance) -> None:
        self.channel.follow(frozenset(instances))
        self.channel.turn()

    def later(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.channel.turn()

    @property
    def target(self) -> str:
        return self.channel.current().target  # type: ignore[attr-defined]

    def _make(self, target: str) -> FakeChannel:
        if self.fault:
            raise self.fault
        self.made.append(FakeChannel(target))
        return self.made[-1]

    def begin(self, look_up: Callable[[], None], *, name: str) -> None:
        """In place of a thread: at once, or once the resolver does not hang any more."""
        self.look_ups.append(look_up)
        if not self.resolver_hangs:
            self.resolver_answers()

    def resolver_answers(self) -> None:
        self.resolver_hangs = False
        while self.look_ups:
            self.look_ups.pop(0)()

    def _look_up(self, name: str) -> list[str]:
        if name not in self.found:
            raise OSError("Name or service not known")
        return self.found[name]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(channels, "_wait_until_ready", lambda channel: None)
    world = World()
    monkeypatch.setattr(names, "begin_in_thread", world.begin)
    return world


def test_nobody_is_told_at_once_and_with_the_place_to_look_at(world: World) -> None:
    world.follow()
    words = r"^No instance of ratings is known \(static: DISCOVERY_STATIC\)\.$"
    begun = time.monotonic()
    with pytest.raises(NoInstance, match=words):
        world.channel.current(patience=30.0)
    assert time.monotonic() - begun < 5


def test_a_call_goes_to_whoever_is_known_by_then(world: World) -> None:
    world.follow(A)
    assert world.target == "ipv4:10.0.0.1:1"
    world.follow(A, B)
    assert world.target == "ipv4:10.0.0.1:1,10.0.0.1:2"
    world.follow(B)
    assert world.target == "ipv4:10.0.0.1:2"
    world.follow()
    with pytest.raises(NoInstance):
        world.channel.current()
    world.follow(A)
    assert world.target == "ipv4:10.0.0.1:1"


def test_a_former_channel_is_closed_when_no_call_can_be_on_it_any_more(world: World) -> None:
    world.follow(A)
    world.follow(A, B)
    former, current = world.made
    world.later(LONGEST)
    assert not former.is_closed
    world.later(LONGEST)
    assert former.is_closed
    assert not current.is_closed


def test_the_last_channel_is_left_to_its_calls_when_nobody_is_known(world: World) -> None:
    world.follow(A)
    world.follow()
    world.later(LONGEST)
    assert not world.made[0].is_closed
    world.later(LONGEST)
    assert world.made[0].is_closed


def test_one_that_is_started_anew_at_its_address_needs_no_other_channel(world: World) -> None:
    world.follow(A)
    world.follow(instance("a-again", port=A.port))
    assert len(world.made) == 1


def test_a_new_channel_is_swapped_in_only_once_it_is_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.follow(A)
    seen: list[object] = []
    monkeypatch.setattr(channels, "_wait_until_ready", lambda channel: seen.append(world.channel.current()))
    world.follow(B)
    assert seen == [world.made[0]]
    assert world.channel.current() is world.made[1]


def test_the_end_closes_all_of_them(world: World) -> None:
    world.follow(A)
    world.follow(B)
    world.channel.close()
    assert all(one.is_closed for one in world.made)
    with pytest.raises(NoInstance):
        world.channel.current()


class TestWhatCannotBeMade:
    """A key that is renewed a moment after its certificate, for instance."""

    def test_a_change_is_made_up_for_and_meanwhile_the_channel_before_stays(self, world: World) -> None:
        world.follow(A)
        world.fault = ValueError("KEY_VALUES_MISMATCH")
        world.follow(B)
        assert world.target == "ipv4:10.0.0.1:1"
        assert not world.made[0].is_closed
        world.fault = None
        world.later(0.5)
        assert len(world.made) == 1
        world.later(0.5)
        assert world.target == "ipv4:10.0.0.1:2"

    def test_the_first_one_too(self, world: World) -> None:
        world.fault = OSError("No such file")
        world.follow(A)
        with pytest.raises(NoInstance):
            world.channel.current()
        world.fault = None
        world.later(1.0)
        assert world.target == "ipv4:10.0.0.1:1"

    def test_who_is_wanted_by_then_counts(self, world: World) -> None:
        world.follow(A)
        world.fault = ValueError("not now")
        world.follow(A, B)
        world.fault = None
        world.follow(A)
        world.later(60.0)
        assert len(world.made) == 1

    def test_each_fault_is_told_once(self, world: World) -> None:
        with structlog.testing.capture_logs() as logs:
            for words in ("not now", "nor now"):
                world.fault = ValueError(words)
                world.follow(A)
                for _ in range(3):
                    world.later(1.0)
        assert [(log["event"], log["reason"]) for log in logs] == [
            ("channel_not_made", "ValueError: not now"),
            ("channel_not_made", "ValueError: nor now"),
        ]

    def test_told_again_when_it_comes_back(self, world: World) -> None:
        world.follow(A)
        with structlog.testing.capture_logs() as logs:
            for chosen in (B, A):
                world.fault = ValueError("not now")
                world.follow(chosen)
                world.fault = None
                world.later(1.0)
        assert len(logs) == 2


def test_a_channel_is_made_anew_when_what_it_is_made_with_is_renewed(world: World) -> None:
    world.follow(A)
    world.stamp = 2
    world.later(1.0)
    assert len(world.made) == 1
    world.later(4.0)
    assert world.channel.current() is world.made[1]
    assert world.target == "ipv4:10.0.0.1:1"
    world.later(5.0)
    assert len(world.made) == 2


class TestNames:
    def test_all_addresses_of_a_name_are_called(self, world: World) -> None:
        world.found["ratings.internal"] = ["10.0.0.7", "fd00::7"]
        world.follow(NAMED)
        assert world.target == "ipv6:[::ffff:10.0.0.7]:3,[fd00::7]:3"

    def test_a_name_that_moves_is_followed(self, world: World) -> None:
        world.follow(NAMED)
        world.found["ratings.internal"] = ["10.0.0.8"]
        world.later(1.0)
        assert world.target == "ipv4:10.0.0.7:3"
        world.later(5.0)
        assert world.target == "ipv4:10.0.0.8:3"

    def test_a_resolver_that_is_away_changes_nothing(self, world: World) -> None:
        world.follow(NAMED)
        world.found.clear()
        world.later(5.0)
        assert world.target == "ipv4:10.0.0.7:3"
        assert len(world.made) == 1

    def test_a_name_that_nobody_knows_yet_is_left_out_until_somebody_does(self, world: World) -> None:
        world.found.clear()
        world.follow(A, NAMED)
        assert world.target == "ipv4:10.0.0.1:1"
        world.found["ratings.internal"] = ["10.0.0.7"]
        world.later(5.0)
        assert world.target == "ipv4:10.0.0.1:1,10.0.0.7:3"


class TestASlowResolver:
    """A name of a machine that is gone may take it ten seconds."""

    def test_whoever_has_an_address_comes_and_goes_meanwhile(self, world: World) -> None:
        world.follow(A)
        world.resolver_hangs = True
        world.follow(A, NAMED)
        assert world.target == "ipv4:10.0.0.1:1"
        world.follow(B, NAMED)
        assert world.target == "ipv4:10.0.0.1:2"
        world.resolver_answers()
        assert world.target == "ipv4:10.0.0.1:2,10.0.0.7:3"

    def test_a_name_keeps_its_addresses_until_it_answers(self, world: World) -> None:
        world.follow(NAMED)
        world.resolver_hangs = True
        for _ in range(3):
            world.later(5.0)
        assert len(world.look_ups) == 1
        world.found["ratings.internal"] = ["10.0.0.8"]
        assert world.target == "ipv4:10.0.0.7:3"
        world.resolver_answers()
        assert world.target == "ipv4:10.0.0.8:3"

    def test_the_former_instances_are_called_until_the_first_name_is_known(self, world: World) -> None:
        world.follow(A)
        world.resolver_hangs = True
        world.follow(NAMED)
        assert world.target == "ipv4:10.0.0.1:1"
        world.found.clear()
        world.resolver_answers()
        with pytest.raises(NoInstance):
            world.channel.current()

    def test_one_that_has_left_by_then_is_not_called(self, world: World) -> None:
        world.resolver_hangs = True
        world.follow(NAMED)
        world.follow(A)
        world.resolver_answers()
        assert world.target == "ipv4:10.0.0.1:1"
        assert len(world.made) == 1

    def test_an_answer_after_the_end_makes_no_other(self, world: World) -> None:
        world.resolver_hangs = True
        world.follow(NAMED)
        world.channel.close()
        world.resolver_answers()
        assert world.made == []

    def test_the_first_call_of_all_waits_for_it(self, world: World) -> None:
        world.resolver_hangs = True
        world.follow(NAMED)
        answer = threading.Timer(0.05, world.resolver_answers)
        answer.start()
        assert world.channel.current(patience=30.0) is world.made[0]
        answer.join()


class TestBeforeTheFirstTurn:
    def test_a_call_waits_for_it(self, world: World) -> None:
        asking = threading.Event()

        def begin() -> None:
            asking.wait()
            world.follow(A)

        first = threading.Thread(target=begin)
        first.start()
        asking.set()
        assert world.channel.current(patience=30.0) is world.made[0]
        first.join()

    def test_but_not_for_ever(self, world: World) -> None:
        with pytest.raises(NoInstance):
            world.channel.current(patience=0.01)

"""The machine's resolver holds up nobody but those who have the name that it takes long over."""

import threading
from collections.abc import Iterator

import pytest
import structlog

from tests.waiting import wait_until
from workers.discovery import names
from workers.discovery.names import HostAddresses

SLOW, QUICK = "gone.internal", "ratings.internal"


class Resolver:
    """Answers at once, but for one name, which waits until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.found = {SLOW: ["10.0.0.6"], QUICK: ["10.0.0.7"]}
        self.changes = 0
        self.hosts = HostAddresses(service="ratings", look_up=self._look_up, on_change=self._has_changed)

    def _look_up(self, name: str) -> list[str]:
        if name == SLOW:
            self.let_go.wait(10)
        if name not in self.found:
            raise OSError("Name or service not known")
        return self.found[name]

    def _has_changed(self) -> None:
        self.changes += 1


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.let_go.set()


def test_nobody_waits_for_a_slow_name(resolver: Resolver) -> None:
    resolver.hosts.follow({SLOW, QUICK, "10.0.0.1", "::1"})
    assert resolver.hosts.of("10.0.0.1") == ("10.0.0.1",)
    assert resolver.hosts.of("::1") == ("::1",)
    wait_until(lambda: resolver.hosts.of(QUICK) == ["10.0.0.7"])
    assert resolver.hosts.of(SLOW) == ()
    assert not resolver.hosts.is_complete
    resolver.found[QUICK] = ["10.0.0.8"]
    resolver.hosts.renew()
    wait_until(lambda: resolver.hosts.of(QUICK) == ["10.0.0.8"])
    resolver.let_go.set()
    wait_until(lambda: resolver.hosts.of(SLOW) == ["10.0.0.6"])
    assert resolver.hosts.is_complete
    wait_until(lambda: resolver.changes == 3)


def test_a_name_that_nobody_knows_is_an_answer_and_told_once(resolver: Resolver) -> None:
    resolver.found.clear()
    resolver.let_go.set()
    with structlog.testing.capture_logs() as logs:
        resolver.hosts.follow({SLOW})
        wait_until(lambda: resolver.hosts.is_complete)
        wait_until(lambda: resolver.changes == 1)
        resolver.hosts.renew()
        resolver.found[QUICK] = ["10.0.0.7"]
        resolver.hosts.follow({SLOW, QUICK})
        wait_until(lambda: resolver.changes == 2)
    assert [(log["event"], log["host"]) for log in logs] == [("host_not_found", SLOW)]


def test_a_machine_without_a_thread_to_give_is_asked_again(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_to_give(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(names, "begin_in_thread", none_to_give)
        with pytest.raises(RuntimeError):
            resolver.hosts.follow({QUICK})
    resolver.hosts.renew()
    wait_until(lambda: resolver.hosts.of(QUICK) == ["10.0.0.7"])


def test_hosts_of_no_interest_any_more_are_forgotten(resolver: Resolver) -> None:
    resolver.hosts.follow({SLOW, QUICK})
    wait_until(lambda: resolver.hosts.of(QUICK))
    resolver.hosts.follow({SLOW})
    assert resolver.hosts.of(QUICK) == ()
    resolver.hosts.follow(set())
    assert resolver.hosts.is_complete
    resolver.let_go.set()
    wait_until(lambda: not resolver.hosts._under_way)
    assert resolver.hosts.of(SLOW) == ()
    assert resolver.changes == 1

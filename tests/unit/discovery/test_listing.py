"""What `manage.py services` writes, for people and for programs."""

import io
import json
from collections.abc import Callable

import pytest
from django.core.management.base import CommandError

from tests.unit.discovery.scene import Scene, instance
from workers.discovery import listing
from workers.discovery.listing import ListingOptions, show_services
from workers.discovery.registry import Instance

METADATA = Instance("metadata", "m-1", "10.0.0.2", 8081)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class World(Scene):
    """A registry, what happens in it between two looks, and what the command writes."""

    def __init__(self) -> None:
        super().__init__()
        self.output: io.StringIO = io.StringIO()
        self.steps: list[Callable[[], object]] = []

    def run(self, *, service: str | None = None, as_json: bool = True, watch: bool = False) -> str:
        options = ListingOptions(service=service, as_json=as_json, watch=watch)
        try:
            show_services(options, output=self.output, sleep=self._sleep)
        except KeyboardInterrupt:
            assert watch
        return self.output.getvalue()

    def _sleep(self, seconds: float) -> None:
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(listing, "make_registry", lambda: made.registry)
    for one in (instance("r-1"), instance("r-2", host="::1"), METADATA):
        made.registry.register(one, ttl=1_000.0)
    return made


def test_json_is_one_object_on_one_line(world: World) -> None:
    (line,) = world.run(service="metadata").splitlines()
    facts = {"service": "metadata", "id": "m-1", "host": "10.0.0.2", "port": 8081}
    assert json.loads(line) == {"registry": "memory", "instances": [facts]}


def test_a_table_has_a_line_for_each_instance_in_order(world: World) -> None:
    lines = [line.split() for line in world.run(as_json=False).splitlines()]
    assert [line for line in lines if len(line) == 3][-3:] == [
        ["metadata", "10.0.0.2:8081", "m-1"],
        ["ratings", "10.0.0.1:8082", "r-1"],
        ["ratings", "[::1]:8082", "r-2"],
    ]
    assert "memory" in "".join(lines[0])


def test_a_service_without_an_instance_is_named(world: World) -> None:
    assert "No instance of movie is registered." in world.run(service="movie", as_json=False)
    world.output = io.StringIO()
    assert json.loads(world.run(service="movie"))["instances"] == []


def test_watching_writes_changes_only(world: World) -> None:
    world.steps = [
        lambda: None,
        lambda: world.registry.deregister(METADATA),
        lambda: None,
        lambda: world.registry.register(METADATA, ttl=1_000.0),
    ]
    looks = [json.loads(line) for line in world.run(watch=True).splitlines()]
    assert [len(look["instances"]) for look in looks] == [3, 2, 3]


def test_a_watched_table_takes_the_place_of_the_one_before(world: World) -> None:
    world.output = Terminal()
    world.steps = [lambda: world.registry.deregister(METADATA)]
    assert world.run(as_json=False, watch=True).count("\x1b[H\x1b[2J") == 2
    world.output = Terminal()
    assert "\x1b[H" not in world.run(as_json=False)


def test_a_registry_that_is_away_ends_the_command_but_not_the_watch(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(is_away: bool) -> Callable[[], None]:
        return lambda: setattr(world.server, "away", is_away)

    world.steps = [away(True), away(True), away(False)]
    looks = [json.loads(line) for line in world.run(watch=True).splitlines()]
    assert [len(look["instances"]) for look in looks] == [3, 3]  # once more when it is back
    assert len(capsys.readouterr().err.splitlines()) == 1
    world.server.away = True
    with pytest.raises(CommandError, match="did not do what was asked of it: it is away"):
        world.run()

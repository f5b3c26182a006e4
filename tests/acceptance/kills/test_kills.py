"""One of two consumers is killed at all kinds of moments, again and again, under load; another takes its place at once.

The moments: while it fetches, in the middle of its transaction, inside its COMMIT, just after it, and while it starts.
"""

import pytest

from tests.acceptance.kills.modes import PROTOCOLS, Mode
from tests.acceptance.kills.scene import make_scene
from tests.acceptance.kills.watch import COMMITTING

__all__ = ["make_scene"]


def replaced(scene):
    """Kills a member and starts another one."""

    def hit(member):
        scene.crew.kill(member)
        scene.crew.join()

    return hit


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_exactly_once_ends_with_each_event_counted_once(make_scene, kills, protocol):
    number = kills(30)
    with make_scene(Mode(protocol=protocol)) as scene:
        with scene.under_load():
            for _ in range(-(-number // len(PROTOCOLS))):
                scene.moments.strike(replaced(scene))
        scene.assert_as_promised()


def test_at_least_once_ends_with_the_same_tables(make_scene, kills):
    with make_scene(Mode("at-least-once")) as scene:
        with scene.under_load():
            scene.watch.wait_for_position(3_000, 60, scene.crew.story)  # they have told Kafka something
            scene.moments.strike_at(COMMITTING, replaced(scene))
            for _ in range(1, kills(10)):
                scene.moments.strike(replaced(scene))
        scene.assert_as_promised()
        assert scene.watch.steps_back() > 0  # or these moments would show nothing about the other guarantees


def test_at_most_once_writes_nothing_twice_and_counts_what_it_skips(make_scene, kills):
    with make_scene(Mode("at-most-once")) as scene:
        with scene.under_load():
            for _ in range(kills(10)):
                scene.moments.strike(replaced(scene))
        scene.assert_as_promised()
        assert scene.load.skipped() > 0


@pytest.mark.soak
@pytest.mark.parametrize("protocol", ["eager", "broker-assigned"])
@pytest.mark.parametrize("delivery", ["at-least-once", "at-most-once"])
def test_the_other_protocols_change_nothing_about_that(make_scene, kills, delivery, protocol):
    with make_scene(Mode(delivery, protocol)) as scene:
        with scene.under_load():
            for _ in range(kills(30)):
                scene.moments.strike(replaced(scene))
        scene.assert_as_promised()

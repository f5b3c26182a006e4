"""Members join and leave all the time, in each of the three rebalance protocols: each delivery keeps its promise."""

import random

import pytest

from tests.acceptance.kills.modes import PROTOCOLS, Mode, every_mode
from tests.acceptance.kills.scene import make_scene

__all__ = ["make_scene"]


def storm(scene, rounds, seed):
    """One comes and one goes, in every round, before the group has settled from the round before."""
    chance = random.Random(seed)
    for _ in range(rounds):
        scene.crew.join()
        goal = scene.watch.position() + chance.randrange(1, 1_000)
        scene.watch.wait_for_position(goal, 60, scene.crew.story)
        if len(scene.crew.members) > 3:
            leaver = chance.choice(scene.crew.members[:-1])
            if chance.random() < 0.3:
                scene.crew.kill(leaver)
            else:
                scene.crew.dismiss(leaver)


@every_mode(
    *(Mode(protocol=protocol) for protocol in PROTOCOLS),
    Mode("at-least-once", "broker-assigned"),
    Mode("at-most-once", "eager"),
)
def test_a_rebalance_storm_changes_nothing(make_scene, seed, mode):
    with make_scene(mode) as scene:
        with scene.under_load():
            storm(scene, 4 if mode.is_exact else 3, seed)
        scene.assert_as_promised()


@pytest.mark.soak
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_long_rebalance_storm_changes_nothing(make_scene, seed, protocol):
    with make_scene(Mode(protocol=protocol)) as scene:
        with scene.under_load():
            storm(scene, 60, seed)
        scene.assert_as_promised()

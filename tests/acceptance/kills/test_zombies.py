"""A member that is frozen until its partitions have another owner, and then goes on where it was, writes nothing."""

import random
import signal
import time

import pytest

from tests.acceptance.kills.modes import AT_MOST_ONCE, DELIVERIES, EXACTLY_ONCE, Mode, every_mode
from tests.acceptance.kills.scene import make_scene
from tests.acceptance.kills.watch import WRITING
from tests.waiting import wait_until

__all__ = ["make_scene"]

_MOST_FREEZES = 4


def freeze(scene, zombie):
    """Outside a transaction: inside one it would keep its rows locked, and the heir out, for some time."""
    while True:
        zombie.process.popen.send_signal(signal.SIGSTOP)
        if not scene.watch.is_at_work(zombie.name):
            return
        zombie.process.popen.send_signal(signal.SIGCONT)
        scene.watch.next_to_commit()


def frozen_until_replaced(scene, zombie):
    """Freezes it until others have all its partitions and have gone on in them, and wakes it up."""
    freeze(scene, zombie)
    wait_until(lambda: zombie.name not in scene.watch.owners().values(), 30, message=scene.crew.story)
    scene.watch.wait_for_position(scene.watch.position() + 500, 30, scene.crew.story)
    zombie.process.popen.send_signal(signal.SIGCONT)


def frozen_with_a_write_under_way(scene, zombie, *, heir_writes):
    """The same, its next write being in the database's hands, which gets to it before or after the heir's first."""
    gate = scene.watch.arrival_of(zombie.name)
    with scene.watch.held_up(gate):
        wait_until(lambda: scene.watch.waiting_at(gate), 30, message=scene.crew.story)
        zombie.process.popen.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 30
        while zombie.name in scene.watch.owners().values():
            assert time.monotonic() < deadline, scene.crew.story()
            time.sleep(0.001)  # and no longer: the heir's first write is some 20 ms away
        if heir_writes:
            scene.watch.wait_for_position(scene.watch.position() + 100, 30, scene.crew.story)
    zombie.process.popen.send_signal(signal.SIGCONT)


def both_own(scene):
    names = {member.name for member in scene.crew.members}
    wait_until(lambda: set(scene.watch.owners().values()) == names, 30, message=scene.crew.story)


@every_mode(EXACTLY_ONCE, Mode("at-least-once", "eager"), but=AT_MOST_ONCE)
def test_a_write_that_outlives_its_ownership_is_refused(make_scene, seed, mode):
    chance = random.Random(seed)
    with make_scene(mode) as scene:
        with scene.under_load():
            for number in range(_MOST_FREEZES):
                both_own(scene)
                frozen_with_a_write_under_way(scene, chance.choice(scene.crew.members), heir_writes=number % 2 == 1)
                if number > 0 and scene.crew.said('"fenced"'):
                    break  # more only where it took so long that the database gave the write up
            both_own(scene)
        scene.assert_as_promised()
        assert scene.crew.said('"fenced"')


@every_mode(Mode(protocol="eager"), Mode(protocol="broker-assigned"), Mode("at-most-once"))
def test_a_frozen_member_writes_nothing_when_it_wakes_up(make_scene, seed, mode):
    chance = random.Random(seed)
    with make_scene(mode) as scene:
        with scene.under_load():
            for _ in range(2):
                both_own(scene)
                frozen_until_replaced(scene, chance.choice(scene.crew.members))
            both_own(scene)
        scene.assert_as_promised()


@pytest.mark.soak
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_any_number_of_freezes_changes_nothing(make_scene, kills, seed, delivery):
    chance = random.Random(seed)
    with make_scene(Mode(delivery)) as scene:
        with scene.under_load():
            for _ in range(kills(40)):
                both_own(scene)
                frozen_until_replaced(scene, chance.choice(scene.crew.members))
        scene.assert_as_promised()


def test_a_member_frozen_inside_its_transaction_keeps_the_others_out_for_seconds_only(make_scene):
    with make_scene() as scene:
        with scene.under_load():
            both_own(scene)
            with scene.watch.held_up(WRITING):
                name = wait_until(lambda: scene.watch.waiting_at(WRITING), message=scene.crew.story)[0]
                zombie = scene.crew.named(name)
                zombie.process.popen.send_signal(signal.SIGSTOP)
            assert scene.watch.is_at_work(name)
            wait_until(lambda: name not in scene.watch.owners().values(), 60, message=scene.crew.story)
            zombie.process.popen.send_signal(signal.SIGCONT)
            both_own(scene)
        scene.assert_as_promised()

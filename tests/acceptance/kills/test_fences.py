"""Somebody takes one partition out of a batch that is being written: that one goes, and takes no other with it."""

import json

from tests.acceptance.kills.modes import AT_MOST_ONCE, EXACTLY_ONCE, every_mode
from tests.acceptance.kills.scene import make_scene
from tests.waiting import wait_until

__all__ = ["make_scene"]

_TAKE = """
UPDATE ingestion_consumeroffset SET epoch = epoch + 1
WHERE topic = %s AND partition = %s RETURNING partition
"""


def fenced(member):
    """The partitions of each write of this member that was refused."""
    lines = [line for line in member.process.output().splitlines() if '"fenced"' in line]
    return [json.loads(line)["partitions"] for line in lines]


def first_of(scene, member):
    """One of its partitions, once it has some and nobody else but another member has any."""

    def found():
        owners = scene.watch.owners()
        mine = [partition for partition, owner in owners.items() if owner == member.name]
        return mine if set(owners.values()) == {one.name for one in scene.crew.members} else []

    return wait_until(found, 30, message=scene.crew.story)[0]


def take_out_of_a_batch(scene, member, partition):
    """As `move_offsets` and another owner do, while the database has the member's write and has not looked at it."""
    before = len(fenced(member))
    gate = scene.watch.arrival_of(member.name)
    with scene.watch.held_up(gate):
        wait_until(lambda: scene.watch.waiting_at(gate), 30, message=scene.crew.story)
        assert scene.watch.rows(_TAKE, scene.load.topic, partition)
    wait_until(lambda: len(fenced(member)) > before, 30, message=scene.crew.story)


@every_mode(EXACTLY_ONCE, but=AT_MOST_ONCE)
def test_a_partition_that_is_taken_out_of_a_batch_takes_no_other_with_it(make_scene, mode):
    with make_scene(mode) as scene:
        with scene.under_load():
            members = list(scene.crew.members)
            taken = {member.name: [] for member in members}
            for _ in range(2):  # a member that loses much more within a minute gives up
                for member in members:
                    partition = first_of(scene, member)
                    take_out_of_a_batch(scene, member, partition)
                    taken[member.name].append([partition])
                    scene.go_on()
        assert {member.name: fenced(member) for member in members} == taken
        scene.assert_as_promised()

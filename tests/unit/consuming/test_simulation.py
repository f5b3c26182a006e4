"""Random schedules of consumers, rebalances, outages and lost answers: each delivery keeps its promise."""

import random

import pytest

from ratings.errors import InvalidRating
from ratings.events import decode_event
from ratings.memory import MemoryRatings
from tests.unit.consuming.scene import START, ManualExecutor, Scene, delete, put
from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.delivery import Delivery
from workers.kafka.group import NotCommitted

PARTITIONS = 3
MEMBERS = 3


class Schedule:
    """One run: `seed` decides everything that happens in it."""

    def __init__(self, seed, delivery):
        self.random = random.Random(seed)
        self.delivery = delivery
        self.scene = Scene(PARTITIONS)
        self.dead = []
        self.members = [self.new_member() for _ in range(MEMBERS)]
        self.owners = dict.fromkeys(range(PARTITIONS))
        self.leaving = {}

    def new_member(self):
        limits = BatchLimits(messages=self.random.choice([1, 3, 1_000]), seconds=self.random.choice([0, 0.2, 1]))
        return self.scene.member(
            limits=limits,
            flush_seconds=self.random.choice([0.1, 10]),
            delivery=self.delivery,
            preparing=self.random.choice([None, ManualExecutor(self.scene.clock)]),
        )

    def play(self, steps):
        actions = [
            (self.produce, 20), (self.turn, 40), (self.write, 15), (self.pass_time, 5), (self.fail, 4), (self.stick, 2),
            (self.give, 12), (self.revoke, 3), (self.lose, 2), (self.bounce, 2), (self.kill, 1), (self.intrude, 0.2),
            (self.fail_to_prepare, 1), (self.refuse_a_commit, 2),
        ]  # fmt: skip
        for _ in range(steps):
            action = self.random.choices([action for action, _ in actions], [weight for _, weight in actions])[0]
            action()

    def produce(self):
        partition = self.random.randrange(PARTITIONS)
        user, record = self.random.choice("abc"), self.random.choice("12")
        time = START - self.random.randrange(10**12)  # as good as unique: between partitions, time decides
        match self.random.randrange(8):
            case 0:
                self.scene.topic.skip(partition)
            case 1:
                self.scene.topic.append(partition, b"no json", milliseconds=time)
            case 2:
                self.scene.topic.append(partition, delete(user, record=record), milliseconds=time)
            case _:
                value = put(user, self.random.randint(0, 10), record=record)
                self.scene.topic.append(partition, value, milliseconds=time)

    def turn(self):
        self.random.choice(self.members).turns()

    def write(self):
        member = self.random.choice(self.members)
        self.random.choice([member.executor, member.preparing]).run_one()

    def pass_time(self):
        self.scene.clock.sleep(self.random.choice([0.1, 1, 20]))

    def fail(self):
        self.random.choice(self.members).store.faults.extend(
            self.random.choices(["before", "after", None], k=self.random.randint(1, 4))
        )

    def fail_to_prepare(self):
        self.random.choice(self.members).store.unprepared = self.random.randint(1, 3)

    def refuse_a_commit(self):
        """Matters to whoever waits for Kafka's answer, as at-most-once does."""
        one, other = (frozenset(self.random.sample(range(PARTITIONS), self.random.randint(0, 2))) for _ in range(2))
        self.random.choice(self.members).source.commit_fault = NotCommitted(refused=one, unknown=other - one)

    def stick(self):
        executor = self.random.choice(self.members).executor
        executor.stuck = not executor.stuck

    def give(self):
        self.see_who_let_go()
        for partition, owner in self.owners.items():
            if owner is None and self.random.random() < 0.7:
                self.owners[partition] = self.random.choice(self.members)
                self.owners[partition].source.give(partition)

    def see_who_let_go(self):
        for partition, member in list(self.leaving.items()):
            if partition not in member.source.assigned:
                del self.leaving[partition]
                self.owners[partition] = None

    def owned(self):
        """A partition that its owner knows to have and that is not leaving, or None."""
        staying = {p: owner for p, owner in self.owners.items() if owner and p not in self.leaving}
        there = [partition for partition, owner in staying.items() if partition in owner.source.assigned]
        return self.random.choice(there) if there else None

    def revoke(self):
        if (partition := self.owned()) is not None:
            self.owners[partition].source.revoke(partition)
            self.leaving[partition] = self.owners[partition]

    def lose(self):
        """The partition may have its next owner before the former one learns of it."""
        if (partition := self.owned()) is not None:
            self.owners[partition].source.lose(partition)
            self.owners[partition] = None

    def bounce(self):
        """Revoked and given back within one fetch."""
        if (partition := self.owned()) is not None:
            self.owners[partition].source.revoke(partition)
            self.owners[partition].source.give(partition)

    def kill(self):
        index = self.random.randrange(MEMBERS)
        dead, self.members[index] = self.members[index], self.new_member()
        self.dead.append(dead)
        for partition, owner in self.owners.items():
            if owner is dead:
                self.owners[partition] = None
        self.leaving = {partition: member for partition, member in self.leaving.items() if member is not dead}

    def intrude(self):
        """Somebody outside the group protocol takes a partition."""
        partition = self.random.randrange(PARTITIONS)
        self.members[0].store.store.take([partition], first_offset=self.scene.topic.first)

    def finish(self):
        for member in self.members:
            member.executor.stuck = False
            member.store.faults.clear()
            member.store.unprepared = 0
            member.source.commit_fault = None
        for _ in range(60):
            self.see_who_let_go()
            for partition, owner in self.owners.items():
                if owner is None:
                    self.owners[partition] = self.members[0]
                    self.members[0].source.give(partition)
            for member in self.members:
                member.settle(2)
            self.scene.clock.sleep(3)
            if self.is_done():
                break

    def is_done(self):
        ends = {partition: self.scene.topic.end(partition) for partition in self.scene.topic.partitions}
        return self.scene.positions() == ends and not self.leaving and None not in self.owners.values()

    def check(self):
        if self.delivery == Delivery.AT_MOST_ONCE:
            self.check_that_each_was_applied_or_skipped()
        else:
            self.check_against_the_model()

    def check_that_each_was_applied_or_skipped(self):
        applied = [found for member in [*self.members, *self.dead] for found in member.store.applied]
        offsets = [(partition, offset) for partition, start, end in applied for offset in range(start, end)]
        assert len(offsets) == len(set(offsets)), "something was applied twice"
        ends = {partition: self.scene.topic.end(partition) for partition in self.scene.topic.partitions}
        assert self.scene.positions() == ends
        assert len(offsets) + self.scene.skipped() == sum(ends.values())
        assert set(self.scene.letters().values()) <= {1}

    def check_against_the_model(self):
        topic, scene = self.scene.topic, self.scene
        model, letters = MemoryRatings(lambda: 0), set()
        for partition in topic.partitions:
            latest = 0
            for message in topic.messages(partition, 0, topic.end(partition)):
                latest = max(latest, message.timestamp()[1] * 1000)
                try:
                    model.write([decode_event(message.value())], [latest])
                except InvalidRating:
                    letters.add((partition, message.offset()))
        assert scene.positions() == {partition: topic.end(partition) for partition in topic.partitions}
        assert scene.tables.ratings.standing() == model.standing()
        if self.delivery == Delivery.EXACTLY_ONCE:
            assert scene.letters() == dict.fromkeys(letters, 1)
        assert scene.letters().keys() == letters


def run(seed, steps, delivery):
    schedule = Schedule(seed, delivery)
    schedule.play(steps)
    schedule.finish()
    schedule.check()


@pytest.mark.parametrize("delivery", Delivery)
def test_every_schedule_ends_as_promised(delivery):
    for seed in range(150):
        try:
            run(seed, 150, delivery)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.soak
@pytest.mark.parametrize("delivery", Delivery)
def test_many_long_schedules_end_as_promised(delivery):
    for _ in range(1_000):
        seed = random.SystemRandom().randrange(2**32)
        try:
            run(seed, 600, delivery)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise

"""Publishers that die, freeze and come back at every point of their work, while writers write: followers end right."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ratings.changes import Shard
from tests.examples import fixed
from tests.unit.publishing.scene import Killed, Scene
from workers.publishing.errors import TakenOver
from workers.publishing.publisher import ShardPublisher

RECORDS = 8
STEPS = 120


class Simulation:
    """Two publishers of one shard; at any point of a call one may be killed, or lose its session and sleep on."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.scene = Scene()
        self.calm = False
        self.kills = self.sleeps = 0
        self.depth = 0
        self.pair = [self.new(), self.new()]

    def new(self) -> ShardPublisher:
        return self.scene.publisher(hook=self.point, most=self.random.randint(1, 4))

    def point(self, _name: str) -> None:
        if self.calm:
            return
        draw = self.random.random()
        if draw < 0.04:
            self.kills += 1
            raise Killed
        if draw < 0.08 and self.depth < 3:
            self.sleep_here()
        elif draw < 0.25:
            self.write()

    def sleep_here(self) -> None:
        """The publisher that has got here sleeps; its session ends, the world goes on, and it wakes up here."""
        self.sleeps += 1
        self.depth += 1
        self.scene.database.end_session(Shard(0, 1))
        heir = self.new()
        for _ in range(self.random.randint(0, 6)):
            self.write()
            if not self.step(heir):
                heir = self.new()
        if self.random.random() < 0.5:
            heir.store.release()
        self.depth -= 1

    def write(self) -> None:
        number = self.random.randint(1, RECORDS)
        count = self.random.randint(0, 5)
        self.scene.database.change(number, count=count, total=self.random.randint(0, 100) * count)

    def step(self, publisher: ShardPublisher) -> bool:
        """One turn; False when it was the last of this publisher."""
        try:
            self.scene.turns(publisher)
        except (Killed, TakenOver):
            publisher.store.release()  # the session of a dead process ends
            return False
        return True

    def run(self) -> None:
        for _ in range(STEPS):
            which = self.random.randrange(2)
            if not self.step(self.pair[which]):
                self.pair[which] = self.new()
            if self.random.random() < 0.5:
                self.write()
        self.calm = True
        self.scene.database.holders.clear()
        last = self.new()
        self.scene.sweep(last)
        assert self.scene.followed() == self.scene.expected()
        assert self.scene.database.marks == {}


@fixed(60, shrink=False)
@given(seed=st.integers(0, 2**32))
def test_whatever_dies_or_sleeps_a_follower_ends_with_the_database(seed: int) -> None:
    Simulation(seed).run()


def test_the_simulation_does_what_it_says() -> None:
    simulations = [Simulation(seed) for seed in range(10)]
    for simulation in simulations:
        simulation.run()
    assert sum(one.kills for one in simulations) > 20
    assert sum(one.sleeps for one in simulations) > 20

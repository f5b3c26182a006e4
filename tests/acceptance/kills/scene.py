"""What a kill test stands on: a topic, a load, the members of a group that reads it, and a watch over them."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from tests.acceptance.kills.crew import QUICK, Crew
from tests.acceptance.kills.feeding import feeding
from tests.acceptance.kills.moments import Moments
from tests.acceptance.kills.timed_load import TimedLoad
from tests.acceptance.kills.watch import Watch
from tests.fixtures.processes import StartManage
from tests.fixtures.topics import MakeTopic

PARTITIONS = 6
# Small batches: more transactions, more moments.
_BATCH_SIZE = "200"


class Scene:
    """A topic, a load, and two members of a group that read it, in one delivery mode and one protocol."""

    def __init__(self, *, load: TimedLoad, watch: Watch, crew: Crew, url: str, seed: int) -> None:
        self.load = load
        self.watch = watch
        self.crew = crew
        self.moments = Moments(crew, watch, seed=seed)
        self._url = url

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Two members are at work, and events keep coming meanwhile; all of it has been read when this ends."""
        with feeding(self.load.send, sent=lambda: self.load.sent, watch=Watch(self._url, self.load.topic)):
            for _ in range(2):
                self.crew.join()
            self.watch.wait_for_position(1, 60, self.crew.story)
            yield
        self.watch.wait_for_position(self.load.sent, 120, self.crew.story)
        self.crew.assert_nobody_died()
        self.crew.dismiss_all()

    def assert_exactly_once(self) -> None:
        """Ratings, times, aggregates and dead letters are the events', each met once, and only owners wrote."""
        self.load.assert_ratings()
        self.load.assert_letters()
        self.watch.assert_only_owners_wrote()


class MakeScene(Protocol):
    """Makes the scene of a test, on the run's database unless `url` names another, which notes every step."""

    def __call__(
        self,
        *,
        env: Mapping[str, str] = QUICK,
        arguments: tuple[str, ...] = (),
        url: str = "",
        servers: str = "",
        topic: str = "",
        once: bool = False,
    ) -> AbstractContextManager[Scene]: ...


@pytest.fixture
def make_scene(
    start_manage: StartManage,
    manage_environment: Mapping[str, str],
    kafka_bootstrap_servers: str,
    make_topic: MakeTopic,
    seed: int,
) -> MakeScene:
    """See MakeScene; members that are left over are killed in the end."""

    @contextmanager
    def make(
        *,
        env: Mapping[str, str] = QUICK,
        arguments: tuple[str, ...] = (),
        url: str = "",
        servers: str = "",
        topic: str = "",
        once: bool = False,
    ) -> Iterator[Scene]:
        topic = topic or make_topic(partitions=PARTITIONS, message_timestamp_type="CreateTime")
        url = url or manage_environment["DATABASE_URL"]
        load = TimedLoad(servers or kafka_bootstrap_servers, topic, partitions=PARTITIONS, seed=seed, once=once)
        watch = Watch(url, topic)
        crew = Crew(start_manage, ("--topic", topic, "--batch-size", _BATCH_SIZE, *arguments), url=url, env=env)
        try:
            with watch.recording():
                try:
                    yield Scene(load=load, watch=watch, crew=crew, url=url, seed=seed)
                finally:
                    crew.kill_all()
        finally:
            watch.close()

    return make

"""What a kill test stands on: a topic, a load, the members of a group that reads it, a watch, and what is promised."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from tests.acceptance.kills.crew import Crew
from tests.acceptance.kills.feeding import feeding
from tests.acceptance.kills.modes import EXACTLY_ONCE, Mode
from tests.acceptance.kills.moments import Moments
from tests.acceptance.kills.timed_load import TimedLoad
from tests.acceptance.kills.watch import Watch
from tests.fixtures.processes import StartManage
from tests.fixtures.topics import MakeTopic

PARTITIONS = 6
# Small batches: more transactions, more moments.
_BATCH_SIZE = "200"


class Scene:
    """A topic, a load, and two members of a group that read it in one mode."""

    def __init__(self, mode: Mode, *, load: TimedLoad, watch: Watch, crew: Crew, seed: int) -> None:
        self.load = load
        self.watch = watch
        self.crew = crew
        self.moments = Moments(crew, watch, seed=seed)
        self._mode = mode

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Two members are at work, and events keep coming meanwhile; all of it has been read when this ends."""
        with feeding(self.load.send, sent=lambda: self.load.sent, watch=self.watch.again()):
            for _ in range(2):
                self.crew.join()
            self.watch.wait_for_position(1, 60, self.crew.story)
            yield
        self.watch.wait_for_position(self.load.sent, 120, self.crew.story)
        self.crew.assert_nobody_died()
        self.crew.dismiss_all()

    def go_on(self, events: int = 600) -> None:
        """Returns once the group has passed so many more."""
        wanted = (self.watch.position() or 0) + events
        self.watch.wait_for_position(wanted, 60, self.crew.story)

    def assert_as_promised(self) -> None:
        """Only owners wrote; and for each event exactly once, or at least, or at most once, by the mode.

        Exactly once: ratings, times, aggregates and dead letters are the events', each met once. At least once: the
        same, but that a letter may have been met again. At most once: the position never goes back, nothing is written
        twice, and what is not written is counted as skipped.
        """
        self.watch.assert_only_owners_wrote()
        if self._mode.delivery == "at-most-once":
            self.load.assert_each_once_or_skipped()
            assert self.watch.attempted_twice() == 0
        else:
            self.load.assert_ratings()
            self.load.assert_letters(repeated=self._mode.delivery == "at-least-once")
        if self._mode.delivery != "at-least-once":
            assert self.watch.steps_back() == 0


class MakeScene(Protocol):
    """Makes the scene of a test, on the run's servers and a new topic unless others are named; every step is noted."""

    def __call__(
        self, mode: Mode = ..., *, url: str = "", servers: str = "", topic: str = ""
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
    def make(mode: Mode = EXACTLY_ONCE, *, url: str = "", servers: str = "", topic: str = "") -> Iterator[Scene]:
        topic = topic or make_topic(partitions=PARTITIONS, message_timestamp_type="CreateTime")
        url = url or manage_environment["DATABASE_URL"]
        servers = servers or kafka_bootstrap_servers
        once = mode.delivery == "at-most-once"
        load = TimedLoad(servers, topic, partitions=PARTITIONS, seed=seed, once=once)
        watch = Watch(url, topic)
        arguments = ("--topic", topic, "--batch-size", _BATCH_SIZE, *mode.arguments)
        crew = Crew(start_manage, arguments, url=url, env={**mode.env, "KAFKA_BOOTSTRAP_SERVERS": servers})
        try:
            with watch.recording():
                try:
                    yield Scene(mode, load=load, watch=watch, crew=crew, seed=seed)
                finally:
                    crew.kill_all()
        finally:
            watch.close()

    return make

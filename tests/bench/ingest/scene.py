"""What the variants are measured on: topics filled once, and databases that are made anew for each measurement."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from tests.bench.ingest import prefill
from tests.bench.ingest.events import Events, distinct_ratings, stream
from tests.bench.ingest.expected import Expected, expected_of
from tests.bench.ingest.servers import Servers

Say = Callable[[str], None]


@dataclass
class Workload:
    """One stream of events, in a topic of its name."""

    name: str
    count: int
    deletes: float
    seed: int

    @cached_property
    def events(self) -> Events:
        """Made anew by every process that needs them, from the seed."""
        return stream(self.count, deletes=self.deletes, seed=self.seed)

    @property
    def arguments(self) -> list[str]:
        """How a process of ours is told of it."""
        return ["--events", str(self.count), "--deletes", str(self.deletes), "--seed", str(self.seed)]


@dataclass
class Scene:
    """Servers, workloads, and templates that are made when a variant first asks for them."""

    servers: Servers
    count: int
    prefilled: int
    say: Say
    workloads: dict[str, Workload] = field(init=False)
    _made: set[str] = field(default_factory=lambda: {"template0"})
    _expected: dict[tuple[str, str], Expected] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workloads = {
            "deletes": Workload("deletes", self.count, deletes=0.1, seed=1),
            "puts": Workload("puts", self.count, deletes=0.0, seed=2),
        }

    def filled_topic(self, name: str) -> Workload:
        """The workload, which stands in the topic of its name from now on."""
        workload = self.workloads[name]
        if f"topic {name}" not in self._made:
            self.say(f"sending {len(workload.events):,} events to topic {name}")
            self.servers.create_topic(name)
            self.servers.send(name, workload.events)
            self._made.add(f"topic {name}")
        return workload

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """A copy of the template, for the block alone: empty, known (ids alone), applied or prefilled."""
        self._make(template)
        self.servers.drop_database("measured")
        self.servers.create_database("measured", template=template)
        yield "measured"
        self.servers.drop_database("measured")

    def expected(self, template: str, workload: str) -> Expected:
        """What must stand once the workload is applied to a copy of the template."""
        known = self._expected.get((template, workload))
        if known is None:
            events = self.workloads[workload].events
            if template == "prefilled":
                events = distinct_ratings(self.prefilled, seed=prefill.SEED).then(events)
            known = self._expected[template, workload] = expected_of(events)
        return known

    def _make(self, template: str) -> None:
        if template in self._made:
            return
        self.say(f"making the database template {template}")
        match template:
            case "empty":
                self.servers.create_database("empty")
                self.servers.run("manage.py", "migrate", "--verbosity", "0", database="empty")
            case "applied":
                self._make("empty")
                self.filled_topic("deletes")
                self.servers.create_database("applied", template="empty")
                consume = ("manage.py", "consume_ratings", "--until-caught-up", "--group", "before")
                self.servers.run(*consume, database="applied", topic="deletes")
                with self.servers.connected("applied") as connection:
                    connection.execute("VACUUM (ANALYZE)")
            case "known" | "prefilled":
                self._make("empty")
                self.servers.create_database(template, template="empty")
                ratings = self.prefilled if template == "prefilled" else 0
                arguments = ("-m", "tests.bench.ingest.prefill", "--ratings", str(ratings))
                self.servers.run(*arguments, database=template)
        self._made.add(template)

"""All that is measured: our consumer in its modes, what bounds it, and Pathway."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.bench.ingest.expected import check
from tests.bench.ingest.measuring import Figures, Program, measure_told, measure_until, measure_whole
from tests.bench.ingest.pathway_variant import Pathway
from tests.bench.ingest.scene import Scene
from tests.bench.ingest.servers import asking

REFERENCE = "exactly-once"
_COMMITTED = """SELECT coalesce(sum(next_offset), 0)::bigint FROM ingestion_consumeroffset WHERE "group" = 'bench'"""


class Measure(Protocol):
    """Prepares, measures once, and checks what was left."""

    def __call__(self, scene: Scene) -> Figures: ...


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the table. `kind` is ours, limit or alternative."""

    name: str
    title: str
    kind: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class Consume:
    """`consume_ratings` from an empty group until it has caught up, on a copy of a template."""

    delivery: str = "exactly-once"
    processes: int = 1
    workload: str = "deletes"
    template: str = "empty"

    def __call__(self, scene: Scene) -> Figures:
        """Raises WrongResult unless the tables are to the last row what the events make."""
        workload = scene.filled_topic(self.workload)
        arguments = ["--delivery", self.delivery, "--processes", str(self.processes)]
        with scene.database(self.template) as database, scene.servers.connected(database) as connection:
            program = Program(
                [sys.executable, "manage.py", "consume_ratings", "--until-caught-up", "--group", "bench", *arguments],
                scene.servers.environment(database=database, topic=self.workload),
                scene.servers.folder / "measured.log",
            )
            applied = asking(connection, _COMMITTED)
            figures = measure_until(program, applied=applied, total=workload.count, end=False)
            check(connection, scene.expected(self.template, self.workload))
        return figures


@dataclass(frozen=True, slots=True)
class Limit:
    """One of tests.bench.ingest.limits, on an empty database."""

    name: str
    workload: str = "deletes"

    def __call__(self, scene: Scene) -> Figures:
        """Checks what the SQL alone has written; the others leave nothing to check."""
        workload = scene.workloads[self.workload]
        if self.name == "fetch-decode":
            scene.filled_topic(self.workload)
        with scene.database("empty") as database, scene.servers.connected(database) as connection:
            program = Program(
                [sys.executable, "-m", "tests.bench.ingest.limits", self.name, *workload.arguments],
                scene.servers.environment(database=database, topic=self.workload),
                scene.servers.folder / "measured.log",
            )
            figures = measure_told(program, total=workload.count)
            if self.name == "same-sql":
                check(connection, scene.expected("empty", self.workload))
        return figures


@dataclass(frozen=True, slots=True)
class Send:
    """`ingest_file` of a file with one event a line into a new topic."""

    workload: str = "deletes"

    def __call__(self, scene: Scene) -> Figures:
        """The command itself fails unless every event was acknowledged."""
        workload, path = scene.workloads[self.workload], scene.servers.folder / "events.ndjson"
        if not path.exists():
            with path.open("wb") as file:
                for payloads in workload.events.payloads(10_000):
                    file.write(b"\n".join(payloads) + b"\n")
        scene.servers.create_topic("sent")
        try:
            program = Program(
                [sys.executable, "manage.py", "ingest_file", str(path), "--format", "ndjson"],
                scene.servers.environment(topic="sent"),
                scene.servers.folder / "measured.log",
            )
            return measure_whole(program, total=workload.count)
        finally:
            scene.servers.delete_topic("sent")


def all_variants(*, prefilled: int) -> Sequence[Variant]:
    """In the order of a round; a `prefilled` of 0 leaves that variant out."""
    variants = [
        Variant(REFERENCE, "exactly-once, one process", "ours", Consume()),
        Variant("exactly-once-2", "exactly-once, two processes", "ours", Consume(processes=2)),
        Variant("at-least-once", "at-least-once, one process", "ours", Consume(delivery="at-least-once")),
        Variant(
            "at-least-once-2", "at-least-once, two processes", "ours", Consume(delivery="at-least-once", processes=2)
        ),
        Variant("puts", "puts only, one process", "ours", Consume(workload="puts")),
        Variant("puts-2", "puts only, two processes", "ours", Consume(workload="puts", processes=2)),
        Variant("pathway", "Pathway, default, puts only", "alternative", Pathway("default")),
        Variant("pathway-2", "Pathway, default, two threads, puts only", "alternative", Pathway("default", threads=2)),
        Variant("pathway-correct", "Pathway, last value, puts only", "alternative", Pathway("correct")),
        Variant(
            "pathway-correct-2",
            "Pathway, last value, two threads, puts only",
            "alternative",
            Pathway("correct", threads=2),
        ),
        Variant("replay", "full replay, one process", "ours", Consume(template="applied")),
        Variant("replay-2", "full replay, two processes", "ours", Consume(template="applied", processes=2)),
        Variant("known-ids", "exactly-once, all ids known, one process", "ours", Consume(template="known")),
        Variant("prefilled", f"into {prefilled:,} ratings, one process", "ours", Consume(template="prefilled")),
        Variant("fetch-decode", "limit: fetch and decode alone", "limit", Limit("fetch-decode")),
        Variant("same-sql", "limit: the same SQL fed from memory", "limit", Limit("same-sql")),
        Variant("copy-bare", "limit: COPY, no key, no index", "limit", Limit("copy-bare", "puts")),
        Variant("copy-final", "limit: COPY, all indexes", "limit", Limit("copy-final", "puts")),
        Variant("ingest-file", "a file into Kafka: ingest_file", "ours", Send()),
    ]
    return [variant for variant in variants if prefilled or variant.name != "prefilled"]

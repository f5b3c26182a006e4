"""Measures Pathway at the same job, from outside: its process is not ours to change."""

import json
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from tests.bench.ingest.errors import WrongResult
from tests.bench.ingest.events import PARTITIONS, PROVIDER, RECORD_TYPE, RECORDS
from tests.bench.ingest.expected import wrong_values
from tests.bench.ingest.measuring import Figures, Program, measure_until
from tests.bench.ingest.pathway_environment import pathway_python
from tests.bench.ingest.scene import Scene
from tests.bench.ingest.servers import asking

_RATED = """
CREATE TABLE rated (
    record_type text, record_id text, provider_id text, user_id text, value double precision,
    PRIMARY KEY (record_type, record_id, provider_id, user_id)
)
"""


@dataclass(frozen=True, slots=True)
class Pathway:
    """tests/bench/ingest/pathway_pipeline.py, which says what each setting does and does not do. Puts alone."""

    setting: str
    threads: int = 1

    def __call__(self, scene: Scene) -> Figures:
        """Counts the rows whose value is not the last one; the correct setting must have none."""
        workload = scene.filled_topic("puts")
        python = str(pathway_python())
        with scene.database("template0") as database, scene.servers.connected(database) as connection:
            connection.execute(_RATED)
            asked = {
                "servers": scene.servers.bootstrap_servers,
                "group": f"pathway-{uuid4().hex}",
                "topic": workload.name,
                "postgres": _settings(scene.servers.url(database)),
                "setting": self.setting,
            }
            program = Program(
                [python, "-I", "tests/bench/ingest/pathway_pipeline.py", json.dumps(asked)],
                scene.servers.environment() | {"PATHWAY_THREADS": str(self.threads)},
                scene.servers.folder / "measured.log",
            )
            applied = _PathwayProgress(connection, workload.count)
            figures = measure_until(program, applied=applied, total=workload.count, end=True)
            wrong = wrong_values(connection, workload.events)
        if wrong and self.setting == "correct":
            raise WrongResult(f"Pathway, {self.setting}: {wrong:,} rows have not the last value")
        return replace(figures, note=f"{wrong:,} wrong" if wrong else "")


class _PathwayProgress:
    """How many events are in Pathway's table, roughly until they are all: then the end of each partition is there.

    Minibatches are transactions and follow a partition's order. The first look at a filled table counts rows, which
    are fewer than the events that they came from, in Pathway's favour.
    """

    def __init__(self, connection: psycopg.Connection[tuple[int, ...]], total: int) -> None:
        ids = ", ".join(f"('{RECORD_TYPE}', '{RECORDS + n}', '{PROVIDER}', '{n}')" for n in range(PARTITIONS))
        self._ends = asking(
            connection,
            f"SELECT count(*) FROM (VALUES {ids}) AS ends (record_type, record_id, provider_id, user_id)"
            " JOIN rated USING (record_type, record_id, provider_id, user_id)",
        )
        self._any = asking(connection, "SELECT count(*) FROM (SELECT 1 FROM rated LIMIT 1) AS one")
        self._rows = asking(connection, "SELECT count(*) FROM rated")
        self._partitions = PARTITIONS
        self._total = total
        self._seen = 0

    def __call__(self) -> int:
        if not self._seen and self._any():
            self._seen = min(self._rows(), self._total - 1)
        if self._seen and self._ends() == self._partitions:
            return self._total
        return self._seen


def _settings(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "",
        "port": str(parts.port),
        "dbname": parts.path.removeprefix("/"),
        "user": parts.username or "",
        "password": parts.password or "",
    }

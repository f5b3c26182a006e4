"""`make bench`: measures the way of a rating event from a file through Kafka into Postgres, stage by stage, in one run.

Uses the servers that the tests use (TEST_STACK). Figures depend on the machine: compare the ratios of one run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from tests.bench.events import write_events
from tests.bench.stages import Measured, measure
from tests.fixtures.stack import close_run, ensure, open_run

_ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Prepares a database and a topic of its own, measures, prints a table, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000, help="how many events (default: %(default)s)")
    events = parser.parse_args().events
    stack = open_run(os.environ)
    console = Console()
    try:
        with console.status("starting Postgres and Kafka"), tempfile.TemporaryDirectory() as folder:
            ensure(stack, "postgres")
            ensure(stack, "kafka")
            environment = _own_database(stack.database_url)
            path = Path(folder) / "events.ndjson"
            write_events(path, events)
            _manage("migrate", "--verbosity", "0")
            _manage("create_topics")
            measured = measure(path, events, manage=_manage, say=console.log)
        _show(console, events, measured)
        _drop(environment, stack.database_url)
    finally:
        close_run(stack)


def _show(console: Console, events: int, measured: list[Measured]) -> None:
    table = Table(title=f"{events:,} events, 10% deletes, skewed popularity")
    for heading in ("stage", "events/s", "ratio", "client CPU µs/event"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    whole = next(row.rate for row in measured if row.is_whole)
    for row in measured:
        table.add_row(
            row.stage,
            f"{row.rate:,.0f}",
            f"{row.rate / whole:.2f}",
            f"{row.cpu_seconds / events * 1e6:.1f}",
        )
    console.print(table)


def _manage(*arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=_ROOT, check=True, capture_output=True)


def _own_database(server: str) -> str:
    import psycopg

    name = f"bench_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    os.environ["DATABASE_URL"] = urlsplit(server)._replace(path=f"/{name}").geturl()
    os.environ["RATINGS_TOPIC"] = name
    return name


def _drop(name: str, server: str) -> None:
    import psycopg
    from django.db import connection

    connection.close()
    with psycopg.connect(server, autocommit=True) as maintenance:
        maintenance.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


if __name__ == "__main__":
    main()

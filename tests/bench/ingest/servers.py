"""The bench's own Postgres and Kafka, set as `make run` sets them, and databases that are copies of a template."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from movieapp.devstack.errors import tail
from movieapp.devstack.kafka import KafkaServer
from movieapp.devstack.layout import PROJECT_ROOT, STATE_DIR_VARIABLE
from movieapp.devstack.ports import free_port
from movieapp.devstack.postgres import WRITE_HEAVY, PostgresServer
from tests.bench.ingest.errors import BenchError
from tests.bench.ingest.events import PARTITIONS, RECORD_TYPE, RECORDS, Events
from tests.fixtures.private_servers import running

_FOREIGN = ("PG", "KAFKA_", "RATINGS_", "TOPIC_", "DJANGO_", "PATHWAY_", "DATABASE_URL")
_CHUNK = 20_000
_FILE_COPY_SINCE = 150_000
_BY_KEY = -1


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers while they run, and the folder for all files of the bench."""

    folder: Path
    postgres: PostgresServer
    kafka: KafkaServer

    @property
    def bootstrap_servers(self) -> str:
        """As clients want it."""
        return self.kafka.bootstrap_servers

    def url(self, database: str) -> str:
        """DATABASE_URL of one database."""
        return urlsplit(self.postgres.url)._replace(path=f"/{database}").geturl()

    def environment(self, *, database: str = "postgres", topic: str = "none") -> dict[str, str]:
        """What our processes get: nothing of the caller's that would lead them elsewhere."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "movieapp.settings",
            "DJANGO_SECRET_KEY": "for-the-bench-only-" + "x" * 50,
            "DJANGO_ALLOWED_HOSTS": "localhost",
            "DJANGO_INSECURE_LOCAL_HTTP": "true",
            "DATABASE_URL": self.url(database),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "RATINGS_TOPIC": topic,
            "RATINGS_TOPIC_PARTITIONS": str(PARTITIONS),
            STATE_DIR_VARIABLE: str(self.folder / "none"),
        }

    def run(self, *arguments: str, database: str = "postgres", topic: str = "none") -> None:
        """One of our own processes to its end, unmeasured. Raises BenchError with the end of what it said."""
        log = self.folder / "setup.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=PROJECT_ROOT,
                env=self.environment(database=database, topic=topic),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise BenchError(f"{' '.join(arguments)} ended with {done.returncode}: {tail(log)}")

    def create_database(self, name: str, *, template: str = "template0") -> None:
        """A copy of the template, which nobody may be using; everything is on disk when it returns."""
        with self.connected("postgres") as connection:
            how = " STRATEGY file_copy" if connection.info.server_version >= _FILE_COPY_SINCE else ""
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{how}'.encode())
            connection.execute("CHECKPOINT")

    def drop_database(self, name: str) -> None:
        """Whoever is connected is disconnected."""
        with self.connected("postgres") as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def connected(self, database: str) -> psycopg.Connection[tuple[int, ...]]:
        """A new autocommit connection."""
        return psycopg.connect(self.url(database), autocommit=True)

    def create_topic(self, name: str) -> None:
        """As the product creates its own."""
        self.run("manage.py", "create_topics", topic=name)

    def delete_topic(self, name: str) -> None:
        """And with it all messages."""
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 3})
        for future in client.delete_topics([name], operation_timeout=30).values():
            future.result()

    def send(self, topic: str, events: Events) -> None:
        """All events, each rating's in its order; the ends come last in their partitions."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "compression.type": "zstd",
                "linger.ms": 20,
                "log_level": 3,
            }
        )
        place = 0
        for payloads in events.payloads(_CHUNK):
            for payload in payloads:
                record = int(events.records[place])
                if record == RECORDS:
                    producer.flush()
                partition = record - RECORDS if record >= RECORDS else _BY_KEY
                producer.produce(topic, payload, f"{RECORD_TYPE}:{record}".encode(), partition)
                place += 1
            while len(producer) > _CHUNK:
                producer.poll(0.05)
        if producer.flush(120):
            raise BenchError(f"Kafka has not taken all events for {topic}")


def asking(connection: psycopg.Connection[tuple[int, ...]], query: str) -> Callable[[], int]:
    """Asks for one number, each time that it is called; 0 where there is no row."""

    def ask() -> int:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else 0

    return ask


@contextmanager
def servers_running(folder: Path, *, postgres_settings: Mapping[str, str]) -> Iterator[Servers]:
    """Starts both; they are gone afterwards. `postgres_settings` go over those of `make run`."""
    postgres = PostgresServer(
        folder=folder / "postgres",
        log=folder / "postgres.log",
        port=free_port(),
        password="bench",
        settings={**WRITE_HEAVY, **postgres_settings},
    )
    port = free_port(taken=frozenset({postgres.port}))
    kafka = KafkaServer(
        folder=folder / "kafka",
        log=folder / "kafka.log",
        port=port,
        controller_port=free_port(taken=frozenset({postgres.port, port})),
    )
    with running(postgres), running(kafka):
        yield Servers(folder, postgres, kafka)

"""What is measured on: a Postgres of the bench's own, a filled database, two server processes and the callers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.errors import tail
from movieapp.devstack.layout import PROJECT_ROOT, STATE_DIR_VARIABLE
from movieapp.devstack.ports import free_port
from movieapp.devstack.postgres import WRITE_HEAVY, PostgresServer
from tests.bench.grpc.crew import Worker, crew_running
from tests.bench.grpc.errors import BenchError
from tests.fixtures.log_lines import served_in
from tests.fixtures.private_servers import running

_FOREIGN = ("PG", "KAFKA_", "RATINGS_", "TOPIC_", "DJANGO_", "DATABASE_URL", "GRPC_", "MOVIE_", "DISCOVERY")
# Each thread of each server has a connection, and each caller in process.
_CONNECTIONS = {"max_connections": "600"}
_STARTS_WITHIN_S = 60
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """A server process that answers on `address`."""

    pid: int
    address: str


@dataclass(frozen=True, slots=True)
class Scene:
    """All that runs. `token` may write."""

    servers: Sequence[Server]
    workers: Sequence[Worker]
    token: str
    postgres_version: str


@contextmanager
def scene_running(
    folder: Path, *, servers: int, settings: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[Scene]:
    """Starts and fills everything; it is gone after the block. `settings` are for our processes. Raises BenchError."""
    postgres = PostgresServer(
        folder=folder / "postgres",
        log=folder / "postgres.log",
        port=free_port(),
        password="bench",
        settings={**WRITE_HEAVY, **_CONNECTIONS},
    )
    with ExitStack() as stack:
        stack.enter_context(running(postgres))
        environment = {**_environment(postgres, folder), **settings}
        say("filling the database")
        _run(folder, environment, "manage.py", "migrate", "--verbosity", "0")
        token = _run(folder, environment, "-m", "tests.bench.grpc.prefill").splitlines()[-1]
        started = [stack.enter_context(_server(folder, environment, number)) for number in range(servers)]
        workers = stack.enter_context(crew_running(environment, folder))
        yield Scene(started, workers, token, str(postgres.binaries.version))


@contextmanager
def _server(folder: Path, environment: dict[str, str], number: int) -> Iterator[Server]:
    log = folder / f"server-{number}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.grpc.server", "--port", "0"],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Server(popen.pid, _address(popen, log))
    finally:
        popen.kill()
        popen.wait()


def _address(popen: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and popen.poll() is None:
        for address in served_in(log.read_text()):
            return address
        time.sleep(_LOOK_EVERY_S)
    raise BenchError(f"serve_grpc did not begin to serve: {tail(log)}")


def _environment(postgres: PostgresServer, folder: Path) -> dict[str, str]:
    """What our processes get: nothing of the caller's that would lead them elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "movieapp.settings",
        "DJANGO_SECRET_KEY": "for-the-bench-only-" + "x" * 50,
        "DJANGO_ALLOWED_HOSTS": "localhost",
        "DJANGO_INSECURE_LOCAL_HTTP": "true",
        "DATABASE_URL": postgres.url,
        # Nothing here talks to Kafka.
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        STATE_DIR_VARIABLE: str(folder / "none"),
    }


def _run(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """One of our own processes to its end; its standard output."""
    log = folder / "setup.log"
    with log.open("wb") as errors:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BenchError(f"{' '.join(arguments)} ended with {done.returncode}: {tail(log)}")
    return done.stdout

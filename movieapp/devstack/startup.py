"""Brings the stack up: servers, tables, topics, samples, consumer and web, as much at once as depends on nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from movieapp.devstack import grpc_servers, kafka, postgres, samples_loaded, web
from movieapp.devstack.child import Command, exit_text
from movieapp.devstack.errors import ProcessFailed, StopRequested
from movieapp.devstack.grpc_servers import GrpcServer
from movieapp.devstack.kafka import KafkaServer
from movieapp.devstack.layout import PROJECT_ROOT, StateFolder
from movieapp.devstack.panel import Login
from movieapp.devstack.postgres import PostgresServer
from movieapp.devstack.steps import Steps
from movieapp.devstack.stopping import StopSignals
from movieapp.devstack.supervisor import Supervisor
from movieapp.devstack.web import Web

_SAMPLES_WITHIN_S = "60"
_NOT_ALL_APPLIED = 4  # an exit code of ingest_file
_SAMPLES_NOT_STORED = (
    f"Kafka has the sample ratings, but they did not reach this database within {_SAMPLES_WITHIN_S} s. Most likely "
    "another consumer of the same group reads the topic into another database: stop that one, or set "
    "RATINGS_CONSUMER_GROUP to a name that nobody else uses."
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start; a server that is None is somebody else's and runs already."""

    state: StateFolder
    postgres: PostgresServer | None
    kafka: KafkaServer | None
    web: Web
    grpc: Sequence[GrpcServer]
    login: Login
    environment: Mapping[str, str]
    stack_environment: Mapping[str, str]


class Startup:
    """One start of a plan's processes under a supervisor; each step is shown."""

    def __init__(self, plan: Plan, *, supervisor: Supervisor, steps: Steps, stop: StopSignals) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._steps = steps
        self._stop = stop

    def run(self) -> None:
        """Returns once everything runs and the samples are in.

        Raises DevstackError at the first failure, StopRequested when asked to stop; the caller stops what runs by then.
        """
        with self._steps.shown(), ThreadPoolExecutor(max_workers=12, thread_name_prefix="start") as pool:
            futures = self._submit_all(pool)
            died = self._watch(futures)
        failures = [failure for future in futures if (failure := future.exception())]
        # What gave up because of another failure is not worth telling.
        failures.sort(key=lambda failure: isinstance(failure, StopRequested))
        if failures and not isinstance(failures[0], StopRequested):
            raise failures[0]
        if died is not None:
            raise died
        self._stop.check()

    def _watch(self, futures: Sequence["Future[None]"]) -> ProcessFailed | None:
        """Waits until every step has ended, and makes all give up when one fails or a child that should serve dies."""
        died: ProcessFailed | None = None
        pending = set(futures)
        while pending:
            # Short waits, so that the signal handlers of this thread get their turn.
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_EXCEPTION)
            if any(future.exception() for future in done):
                self._stop.request()
            try:
                self._supervisor.check()
            except ProcessFailed as failure:
                died = died or failure
                self._stop.request()
        return died

    def _submit_all(self, pool: ThreadPoolExecutor) -> list["Future[None]"]:
        def after(step: Callable[[], None], *before: "Future[None]") -> "Future[None]":
            def run() -> None:
                for earlier in before:
                    if earlier.exception() is not None:
                        raise StopRequested("an earlier step failed")
                step()

            return pool.submit(run)

        kafka_runs = after(self._start_kafka)
        postgres_runs = after(self._start_postgres)
        migrated = after(self._migrate, postgres_runs)
        web_runs = after(self._start_web, migrated)
        grpc_run = [after(partial(self._start_grpc, server), migrated) for server in self._plan.grpc]
        topics = after(self._create_topics, kafka_runs)
        admin = after(self._ensure_admin, migrated)
        consumer = after(self._start_consumer, topics, migrated)
        samples = after(self._load_samples, consumer)
        return [kafka_runs, postgres_runs, migrated, web_runs, *grpc_run, topics, admin, consumer, samples]

    def _start_postgres(self) -> None:
        server = self._plan.postgres
        if server is None:
            return
        with self._steps.step("Postgres") as step:
            child = self._supervisor.start(server.prepare)
            child.wait_until(server.is_ready, timeout_s=postgres.READY_WITHIN_S, stopping=self._stop.check)
            step.result = f"Postgres {server.binaries.version} on port {server.port}"

    def _start_kafka(self) -> None:
        server = self._plan.kafka
        if server is None:
            return
        with self._steps.step("Apache Kafka") as step:
            child = self._supervisor.start(lambda: server.prepare(progress=step.downloading))
            child.wait_until(server.is_ready, timeout_s=kafka.READY_WITHIN_S, stopping=self._stop.check)
            step.result = f"Apache Kafka {server.version} on port {server.port}"

    def _migrate(self) -> None:
        self._manage("Tables", "migrate", "--no-input", "--verbosity", "1")

    def _create_topics(self) -> None:
        self._manage("Topics", "create_topics")

    def _ensure_admin(self) -> None:
        login = self._plan.login
        self._manage(
            "Admin login",
            "ensure_admin",
            "--username",
            login.username,
            environment={"DJANGO_SUPERUSER_PASSWORD": login.password},
        )

    def _start_consumer(self) -> None:
        with self._steps.step("Consumer"):
            self._supervisor.start(lambda: self._manage_command("consumer", "consume_ratings"))

    def _start_web(self) -> None:
        server = self._plan.web
        with self._steps.step("Web") as step:
            child = self._supervisor.start(server.prepare)
            child.wait_until(server.is_ready, timeout_s=web.READY_WITHIN_S, stopping=self._stop.check)
            step.result = f"Web on {server.url}/"

    def _start_grpc(self, server: GrpcServer) -> None:
        with self._steps.step(f"gRPC {server.service}") as step:
            child = self._supervisor.start(server.prepare)
            child.wait_until(server.is_ready, timeout_s=grpc_servers.READY_WITHIN_S, stopping=self._stop.check)
            step.result = f"gRPC {server.service} on {server.address}"

    def _load_samples(self) -> None:
        """Skipped when both servers are ours and have these samples; loading them again would change nothing."""
        plan = self._plan
        mark = plan.postgres.folder / "samples.sha256" if plan.postgres is not None else None
        cluster_id = plan.kafka.cluster_id if plan.kafka is not None else ""
        if mark is not None and cluster_id and samples_loaded.are_loaded(mark, cluster_id=cluster_id):
            return
        self._manage("Sample movies", "import_movies", str(samples_loaded.MOVIES))
        self._manage(
            "Sample ratings, through Kafka",
            "ingest_file",
            str(samples_loaded.RATINGS),
            "--wait",
            "--wait-timeout",
            _SAMPLES_WITHIN_S,
            reasons={_NOT_ALL_APPLIED: _SAMPLES_NOT_STORED},
        )
        if mark is not None and cluster_id:
            samples_loaded.remember(mark, cluster_id=cluster_id)

    def _manage(
        self,
        title: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        reasons: Mapping[int, str] | None = None,
    ) -> None:
        """One management command to its end. Raises ProcessFailed with its output unless it ends with 0.

        `reasons` says for an exit code what is likely wrong and how to mend it.
        """
        command = self._manage_command(arguments[0], *arguments, environment=environment)
        with self._steps.step(title):
            child = self._supervisor.run(command)
            while (code := child.poll()) is None:
                self._stop.check()
                self._stop.wait(0.05)
            if code != 0:
                what = f"manage.py {arguments[0]} failed ({exit_text(code)})."
                raise ProcessFailed(" ".join([what, *filter(None, [(reasons or {}).get(code)])]), log=command.log)

    def _manage_command(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Command:
        return Command(
            name=name,
            argv=[sys.executable, str(PROJECT_ROOT / "manage.py"), *arguments],
            log=self._plan.state.logs / f"{name}.log",
            env={**self._plan.environment, **(environment or {})},
            cwd=PROJECT_ROOT,
        )

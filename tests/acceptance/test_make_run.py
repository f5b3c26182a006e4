"""`make run` from nothing to serving, through Ctrl-C without a trace and kill -9 of everything, with its data kept."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from movieapp.devstack.identity import ProcessIdentity
from movieapp.devstack.layout import PROJECT_ROOT, STATE_DIR_VARIABLE
from movieapp.devstack.ports import is_answering
from movieapp.devstack.supervisor import stop_leftovers
from protos.movieapp.v1 import movie_pb2, movie_pb2_grpc
from tests.waiting import wait_until

SERVES_WITHIN_S = 120
EXPECTED_RATING = {"average": 4.0, "count": 3}  # 5, 4 and 3: see the samples' own test
GRPC = {"grpc-metadata", "grpc-ratings", "grpc-movie"}
LASTING = {"kafka", "logs", "postgres", "django.secret", "postgres.secret", "ports.json"}


class MakeRun:
    """What `make run` starts, on a state folder of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        # What a developer's shell would have: nothing of the test run's own servers and settings.
        strange = ("DATABASE_URL", "KAFKA_", "PG", "DJANGO_", "MOVIE", "GRPC_", "DISCOVERY", "TEST_", "PYTEST_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        self.environment[STATE_DIR_VARIABLE] = str(state)
        self._log = state.with_name("output")

    def command(self, *args: str) -> "subprocess.CompletedProcess[str]":
        """Another process in another terminal of the same clone."""
        return subprocess.run(
            [sys.executable, *args],
            cwd=PROJECT_ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self) -> None:
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "movieapp.devstack"],
                cwd=PROJECT_ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(
            lambda: "serving on http://" in self.output() or self.process.poll() is not None,
            timeout=SERVES_WITHIN_S,
            message=self.output,
        )
        assert self.process.poll() is None, self.output()

    def output(self) -> str:
        return self._log.read_text()

    def children(self) -> list[tuple[str, ProcessIdentity]]:
        entries = json.loads((self.state / "children.json").read_text())
        known = [(entry["name"], ProcessIdentity(entry["pid"], entry["started"])) for entry in entries]
        return [(name, identity) for name, identity in known if identity.is_alive()]

    def ports(self) -> Mapping[str, int]:
        ports: Mapping[str, int] = json.loads((self.state / "ports.json").read_text())
        return ports

    def rating_of_movie_1(self) -> Any:
        web = json.loads((self.state / "running.json").read_text())["web"]
        with urllib.request.urlopen(f"{web}/api/v1/movies/1/details/", timeout=10) as answer:
            return json.load(answer)["rating"]

    def details_over_grpc(self) -> movie_pb2.GetMovieDetailsResponse:
        with grpc.insecure_channel(f"127.0.0.1:{self.ports()['grpc_movie']}") as channel:
            request = movie_pb2.GetMovieDetailsRequest(movie_id="1")
            return movie_pb2_grpc.MovieServiceStub(channel).GetMovieDetails(request, timeout=10)


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    run = MakeRun(tmp_path / "local")
    yield run
    if run.process.poll() is None:
        run.process.kill()
        run.process.wait()
    stop_leftovers(run.state / "children.json", lambda text: None)


def assert_gone(run: MakeRun, children: list[tuple[str, ProcessIdentity]]) -> None:
    for name, identity in children:
        assert not identity.is_alive(), name
        with pytest.raises(ProcessLookupError):
            os.killpg(identity.pid, 0)
    assert not [name for name, port in run.ports().items() if is_answering(port)]
    assert {path.name for path in run.state.iterdir()} == LASTING


def test_from_nothing_to_serving_through_ctrl_c_and_kill_9(make_run: MakeRun) -> None:
    make_run.start()
    assert make_run.rating_of_movie_1() == EXPECTED_RATING
    assert '"average": 4.0' in make_run.output()
    assert "Sample ratings" in make_run.output()
    children = make_run.children()
    assert {name for name, _ in children} == {"postgres", "kafka", "web", "consumer", *GRPC}

    told = make_run.details_over_grpc()
    assert (told.metadata.title, told.rating.average, list(told.unavailable)) == ("Toy Story", 4.0, [])
    listed = make_run.command("manage.py", "services", "--format", "json")
    instances = json.loads(listed.stdout)["instances"]
    assert sorted(instance["service"] for instance in instances) == ["metadata", "movie", "ratings"]

    again = make_run.command("-m", "movieapp.devstack")
    assert again.returncode == 1
    assert "serving already" in again.stdout
    joined = make_run.command(
        "manage.py", "shell", "-v", "0", "-c", "from metadata.models import Movie as m; print(m.objects.count())"
    )
    assert joined.stdout.strip() == "6", joined.stderr

    for identity in [ProcessIdentity(make_run.process.pid, ""), *(identity for _, identity in children)]:
        os.killpg(identity.pid, signal.SIGKILL)
    make_run.process.wait()
    assert make_run.command("manage.py", "check").returncode != 0, "a killed stack is not joined"

    make_run.start()
    assert make_run.rating_of_movie_1() == EXPECTED_RATING
    assert "Sample ratings" not in make_run.output(), (
        "the data is still there, so that the samples are not loaded again"
    )
    children = make_run.children()
    make_run.process.send_signal(signal.SIGINT)
    assert make_run.process.wait(timeout=60) == 0, make_run.output()
    assert_gone(make_run, children)

"""What a person reads when the samples do not arrive, and that waiting for them ends."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from movieapp.devstack.child import Child, Command
from movieapp.devstack.errors import ProcessFailed
from movieapp.devstack.layout import StateFolder
from movieapp.devstack.panel import Login
from movieapp.devstack.startup import Plan, Startup
from movieapp.devstack.steps import Steps
from movieapp.devstack.stopping import StopSignals
from movieapp.devstack.supervisor import Supervisor
from movieapp.devstack.web import Web
from workers.ingestion.sending.request import ExitCode


class _Ended:
    """A child that ended at once."""

    def __init__(self, code: int) -> None:
        self._code = code

    def poll(self) -> int:
        return self._code


class _Scripted(Supervisor):
    """Starts nothing: commands end with the code that `codes` has for them, else with 0; the rest serves."""

    def __init__(self, record: Path, codes: dict[str, int]) -> None:
        super().__init__(record)
        self.commands: list[Command] = []
        self._codes = codes

    def start(self, prepare: Callable[[], Command]) -> Child:
        self.commands.append(prepare())
        return cast("Child", _Serving())

    def run(self, command: Command) -> Child:
        self.commands.append(command)
        return cast("Child", _Ended(self._codes.get(command.name, 0)))


class _Serving:
    def wait_until(self, ready: object, *, timeout_s: float, stopping: object) -> None: ...


class _Web:
    url = "http://127.0.0.1:1"

    def prepare(self) -> Command:
        return Command(name="web", argv=[], log=Path("web.log"), env={}, cwd=Path())

    def is_ready(self) -> bool:
        return True


def start(tmp_path: Path, codes: dict[str, int]) -> _Scripted:
    plan = Plan(
        state=StateFolder(root=tmp_path),
        postgres=None,
        kafka=None,
        web=cast("Web", _Web()),
        grpc=[],
        login=Login(username="admin", password="x"),
        environment={},
        stack_environment={},
    )
    supervisor = _Scripted(tmp_path / "children.json", codes)
    Startup(plan, supervisor=supervisor, steps=Steps(Console(file=io.StringIO())), stop=StopSignals()).run()
    return supervisor


def test_the_wait_for_the_samples_has_an_end(tmp_path: Path) -> None:
    (sending,) = [command for command in start(tmp_path, {}).commands if command.name == "ingest_file"]
    assert sending.argv[-3:] == ["--wait", "--wait-timeout", "60"]


def test_samples_that_do_not_arrive_name_the_likely_reason(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match=r"another consumer of the same group.*RATINGS_CONSUMER_GROUP"):
        start(tmp_path, {"ingest_file": ExitCode.NOT_ALL_APPLIED})


def test_another_failure_is_not_explained_that_way(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match=r"ingest_file failed") as failed:
        start(tmp_path, {"ingest_file": ExitCode.FAILED})
    assert "RATINGS_CONSUMER_GROUP" not in str(failed.value)

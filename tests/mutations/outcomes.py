"""A pytest plugin that writes what became of each test to a file, one JSON object a line, for the mutation runner."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

OPTION = "--outcomes"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A test that failed: in its `call`, or in its `setup`, `teardown` or `collect`; `error` names the exception."""

    test: str
    stage: str
    error: str
    message: str


def read_outcomes(path: Path) -> Sequence[Outcome]:
    """The failures that the plugin wrote."""
    return [Outcome(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write."""
    parser.addoption(OPTION, metavar="FILE", help="write each failure as a line of JSON to FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the writer where a file is named."""
    if config.getoption(OPTION):
        config.pluginmanager.register(_Writer(Path(config.getoption(OPTION))))


class _Writer:
    def __init__(self, path: Path) -> None:
        self._path = path

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
        report = yield
        if report.failed and call.excinfo is not None:
            message = (str(call.excinfo.value).strip() or "(no message)").splitlines()[0]
            self._write(Outcome(item.nodeid, call.when, call.excinfo.typename, message[:200]))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(Outcome(report.nodeid, "collect", "collection", str(report.longrepr).strip()[-200:]))

    def _write(self, outcome: Outcome) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")

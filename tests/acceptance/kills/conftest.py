"""The options of the kill tests. Loaded before Django is set up: the fixtures that need it are in scene.py."""

from collections.abc import Callable

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known to a run that names this folder."""
    parser.addoption("--kills", type=int, help="Kills for each delivery guarantee (default: what the suite does).")
    parser.addoption("--seed", type=int, help="Of the events and the moments (default: 1).")


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """How many kills one test has to do, given the number for a run without options."""
    return lambda usual: usual if (asked := pytestconfig.getoption("kills", None)) is None else asked


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of this run."""
    return int(pytestconfig.getoption("seed", None) or 1)

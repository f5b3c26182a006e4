"""What all tests of the consume loop share."""

import logging

import pytest

from tests.unit.consuming.scene import Scene


@pytest.fixture(autouse=True)
def quiet_logs():
    """Thousands of simulated outages would spend more time on their log lines than on themselves."""
    logger = logging.getLogger("workers")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def scene():
    """One topic, one set of tables, no member yet."""
    return Scene()

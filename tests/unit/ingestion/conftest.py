"""What all tests of the consume loop share."""

import logging

import pytest


@pytest.fixture(autouse=True)
def quiet_logs():
    """Thousands of simulated outages would spend more time on their log lines than on themselves."""
    logger = logging.getLogger("workers")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)

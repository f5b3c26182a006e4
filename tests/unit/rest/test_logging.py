"""Log lines as machines and people get them."""

import json
import logging
import logging.config

import pytest
import structlog

from movieapp.logging import logging_settings


@pytest.fixture(autouse=True)
def structlog_as_it_was():
    """What `logging_settings` sets up for the process must not outlive the test, as loggers in use do."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def formatter():
    """Formats as the JSON handler does, without touching the process's own handlers."""
    settings = logging_settings(level="INFO", on_terminal=False)
    options = {name: value for name, value in settings["formatters"]["structlog"].items() if name != "()"}
    return structlog.stdlib.ProcessorFormatter(**options)


def line(formatter, message, *args, **extra):
    record = logging.getLogger("movieapp.test").makeRecord(
        "movieapp.test", logging.INFO, "f", 1, message, args, None, extra=extra
    )
    return json.loads(formatter.format(record))


def test_a_line_is_one_json_object(formatter):
    logged = line(formatter, "read %s\nrows", 5, partition=3)
    assert logged["event"] == "read 5\nrows"
    assert logged["partition"] == 3
    assert logged["level"] == "info"
    assert logged["logger"] == "movieapp.test"
    assert logged["timestamp"].endswith("Z")


def test_statements_are_never_logged():
    assert logging_settings(level="DEBUG", on_terminal=False)["loggers"]["django.db.backends"]["level"] == "WARNING"

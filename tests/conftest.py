"""The stack under the tests, and the fixtures that every test may ask for.

Nothing is started until a test uses a database or asks for the broker, so that `pytest tests/unit` starts nothing.
"""

import os
import signal

import pytest

from tests.fixtures import stack as test_stack
from tests.fixtures.grpc_server import grpc_channel, grpc_server, grpc_token
from tests.fixtures.private_servers import private_kafka, private_postgres
from tests.fixtures.processes import manage, manage_environment, start_manage
from tests.fixtures.registries import consul, etcd, private_consul, private_etcd
from tests.fixtures.topics import kafka_admin, kafka_bootstrap_servers, make_topic

__all__ = [
    "consul",
    "django_db_modify_db_settings",
    "etcd",
    "grpc_channel",
    "grpc_server",
    "grpc_token",
    "kafka_admin",
    "kafka_bootstrap_servers",
    "make_topic",
    "manage",
    "manage_environment",
    "private_consul",
    "private_etcd",
    "private_kafka",
    "private_postgres",
    "start_manage",
]

# A shell starts what it puts in the background deaf to Ctrl-C, and so would be whatever the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Here and not in a fixture: Django's settings, which pytest-django reads right after this file, want it all.
_run = test_stack.open_run(os.environ)


def pytest_configure() -> None:
    """Reads Django's settings, so that pytest-django, which acts only on settings that are read, sets Django up now."""
    from django.conf import settings

    assert settings.DATABASES


def pytest_report_header() -> str:
    """Says which servers the run uses."""
    return test_stack.describe(_run)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """pytest-django asks for this before it makes the test database: the moment to start Postgres."""
    test_stack.ensure(_run, "postgres")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """After the last test, a failure or Ctrl-C alike: stops what the run started."""
    test_stack.close_run(_run)

"""A call on a thread's connection is told apart from the one before, as whoever looks for silent ones has to know."""

import os

import pytest
from django.db import connections

from movieapp.rpc.connections import ServerConnections


class Raw:
    """Stands for psycopg's connection, which nobody has asked anything."""

    closed = False
    asked = None

    def __init__(self, descriptor):
        self.fileno = lambda: descriptor


@pytest.fixture
def raw(monkeypatch):
    """This thread's connection."""
    silent, kept = os.pipe()
    one = Raw(silent)
    monkeypatch.setattr(connections["default"], "connection", one)
    monkeypatch.setattr(connections["default"], "close_at", None)
    monkeypatch.setattr(connections["default"], "errors_occurred", False)
    yield one
    os.close(silent)
    os.close(kept)


def test_a_call_is_another_one_than_the_one_before(raw):
    ours, seen = ServerConnections(), []
    for _ in range(3):
        assert ours.tidy()
        seen.append(raw.asked)
    assert None not in seen
    assert len(set(map(id, seen))) == 3

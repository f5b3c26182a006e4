"""The cluster's id: random, and never something that Kafka's tools take for an option."""

import uuid

import pytest

from movieapp.devstack import kafka


def test_an_id_that_begins_with_a_dash_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=b"\x01" + bytes(15))]
    monkeypatch.setattr(uuid, "uuid4", lambda: drawn.pop(0))
    assert kafka._new_cluster_id() == "AQAAAAAAAAAAAAAAAAAAAA"
    assert not drawn

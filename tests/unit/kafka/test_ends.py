"""Where partitions end, of which some have no leader."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from workers.kafka.cluster import Cluster
from workers.kafka.ends import readable_ends
from workers.kafka.errors import RequestRefused


@pytest.fixture
def answers(settings, monkeypatch):
    """The end of each partition, or the error's code."""
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    answers = {}

    def list_offsets(asked, **_):
        return {place: _future(answers[place.partition]) for place in asked}

    class FakeCluster(Cluster):
        def __init__(self, *, timeout):
            super().__init__(timeout=timeout)
            self.client = SimpleNamespace(list_offsets=list_offsets, poll=lambda _: None)

    monkeypatch.setattr("workers.kafka.ends.Cluster", FakeCluster)
    return answers


def _future(answer):
    future = Future()
    if answer < 0 or answer == KafkaError.LEADER_NOT_AVAILABLE:
        future.set_exception(KafkaException(KafkaError(answer)))
    else:
        future.set_result(SimpleNamespace(offset=answer))
    return future


@pytest.mark.parametrize("without", [0, 1, 2])
def test_a_partition_that_fails_is_left_out(answers, without):
    answers.update({0: 70, 1: 71, 2: 72, without: KafkaError.LEADER_NOT_AVAILABLE})
    expected = {partition: 70 + partition for partition in range(3) if partition != without}
    assert readable_ends("t", range(3), timeout=1) == expected


def test_when_all_fail_it_says_why(answers):
    answers.update(dict.fromkeys(range(2), KafkaError.LEADER_NOT_AVAILABLE))
    with pytest.raises(RequestRefused, match="LEADER_NOT_AVAILABLE"):
        readable_ends("t", range(2), timeout=1)

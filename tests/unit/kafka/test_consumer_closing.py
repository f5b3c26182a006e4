"""A consumer that leaves a Kafka which does not answer."""

from threading import Event
from types import SimpleNamespace

import pytest

from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.group import Commit, NotCommitted
from workers.kafka.patience import answered_within


class StuckClient:
    """A client that ends only when it is let, and revokes what it has then."""

    def __init__(self, consumer, tell):
        self.consumer, self.tell, self.listener = consumer, tell, None
        self.let, self.is_closed = Event(), Event()
        self.assigned = []

    def close(self):
        self.let.wait(10)
        if self.listener is not None:  # what the group has given it meanwhile
            self.consumer._assigned(self, self.listener, [SimpleNamespace(partition=7)])
        self.consumer._taken(self, self.tell, [SimpleNamespace(partition=3)])
        self.is_closed.set()

    def incremental_unassign(self, _):
        pass

    def incremental_assign(self, partitions):
        self.assigned.append(partitions)

    def subscribe(self, *_, **callbacks):
        pass

    def commit(self, **_):
        self.let.wait(10)


@pytest.fixture
def made():
    consumer = KafkaGroupConsumer(group="g", topic="t", bootstrap_servers="127.0.0.1:1")
    told = []
    consumer._client.close()
    consumer._client = StuckClient(consumer, told.append)
    return consumer, consumer._client, told


def test_what_a_client_revokes_as_it_closes_is_told(made):
    consumer, client, told = made
    client.let.set()
    consumer.close()
    assert client.is_closed.is_set()
    assert told == [[3]]


def test_a_client_that_does_not_close_is_left_behind(made, monkeypatch):
    consumer, client, told = made
    monkeypatch.setattr("workers.kafka.consumer._LEAVE_SECONDS", 0.05)
    consumer.close()
    assert not client.is_closed.is_set()
    client.let.set()
    assert client.is_closed.wait(10)
    assert told == []


class Listener:
    def __init__(self):
        self.lost = []

    def partitions_assigned(self, partitions):
        raise AssertionError(partitions)

    def partitions_revoked(self, partitions):
        raise AssertionError(partitions)

    def partitions_lost(self, partitions):
        self.lost.append(partitions)


def test_a_client_that_is_stuck_in_a_commit_is_replaced_and_leaves_later(made, monkeypatch):
    consumer, stuck, told = made
    monkeypatch.setattr("workers.kafka.consumer._ANSWER_SECONDS", 0.05)
    listener = stuck.listener = Listener()
    consumer.join(listener)
    consumer._held = {3, 1}
    assert consumer.commit_now({3: Commit(5, epoch=1)}) == NotCommitted(unknown=frozenset({3}))
    assert listener.lost == [[1, 3]]
    assert consumer._client is not stuck
    stuck.let.set()
    assert stuck.is_closed.wait(10)
    assert (listener.lost, told, stuck.assigned) == ([[1, 3]], [], [[]])
    consumer.close()


def test_what_is_waited_for_returns_or_raises_as_it_would():
    assert answered_within(10, lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        answered_within(10, lambda: 1 // 0)

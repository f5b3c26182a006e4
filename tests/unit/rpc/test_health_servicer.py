"""Whoever watches a server's health keeps neither the server nor other watchers from anything."""

import threading
import time

import pytest
from grpc_health.v1 import health_pb2

from movieapp.rpc import health
from movieapp.rpc.errors import TooManyStreams
from movieapp.rpc.health import HealthServicer
from tests.waiting import wait_until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Watcher:
    """A client that watches: its call's context, and what it was sent; with `has_room` cleared nothing gets through."""

    def __init__(self, servicer, service=""):
        self.seen = []
        self.has_room = threading.Event()
        self.has_room.set()
        self.is_sending = threading.Event()
        self.was_cancelled = False
        self.leave = None
        self._servicer = servicer
        self._request = health_pb2.HealthCheckRequest(service=service)

    def come(self):
        self._servicer.Watch(self._request, self, self._take)

    def add_callback(self, callback):
        self.leave = callback
        return True

    def cancel(self):
        self.was_cancelled = True
        self.has_room.set()
        self.leave()

    def _take(self, answer):
        self.is_sending.set()
        assert self.has_room.wait(10)
        self.seen.append(answer and answer.status)


@pytest.fixture
def servicer():
    return HealthServicer(["ratings"])


@pytest.mark.parametrize("service", ["", "ratings"])
def test_a_watcher_sees_how_it_stands_and_each_change_once(servicer, service):
    watcher = Watcher(servicer, service)
    watcher.come()
    assert watcher.seen == [NOT_SERVING]
    for is_serving in (False, True, True, False):
        servicer.tell(is_serving=is_serving)
    assert watcher.seen == [NOT_SERVING, SERVING, NOT_SERVING]


def test_a_name_that_is_not_the_servers_is_unknown_whatever_is_told(servicer):
    watcher = Watcher(servicer, "nothing")
    watcher.come()
    servicer.tell(is_serving=True)
    assert watcher.seen == [UNKNOWN]


def test_nothing_is_told_to_those_who_have_left(servicer):
    watcher = Watcher(servicer)
    watcher.come()
    watcher.leave()
    servicer.tell(is_serving=True)
    assert watcher.seen == [NOT_SERVING]


def test_the_end_is_final(servicer):
    watcher = Watcher(servicer)
    servicer.tell(is_serving=True)
    watcher.come()
    servicer.enter_graceful_shutdown()
    servicer.tell(is_serving=True)
    servicer.end_watches()
    assert watcher.seen == [SERVING, NOT_SERVING, None]


def test_one_may_leave_while_another_is_being_told(servicer):
    """grpc tells of who leaves in the very thread that tells of what was sent: it must never wait for the latter."""
    leaving, coming = Watcher(servicer), Watcher(servicer)
    leaving.come()
    coming.has_room.clear()
    comes = threading.Thread(target=coming.come)
    comes.start()
    assert coming.is_sending.wait(10)
    grpcs_own = threading.Thread(target=leaving.leave, daemon=True)
    grpcs_own.start()
    grpcs_own.join(0.5)
    assert not grpcs_own.is_alive()
    coming.has_room.set()
    comes.join()


def test_one_that_takes_nothing_is_left(servicer, monkeypatch):
    monkeypatch.setattr(health, "_SENT_WITHIN", 0.05)
    stuck, other = Watcher(servicer), Watcher(servicer)
    stuck.come()
    other.come()
    stuck.has_room.clear()
    servicer.tell(is_serving=True)
    assert stuck.was_cancelled
    assert other.seen == [NOT_SERVING, SERVING]
    assert not other.was_cancelled


def test_many_that_take_nothing_hold_it_up_no_longer_than_one(servicer, monkeypatch):
    monkeypatch.setattr(health, "_SENT_WITHIN", 0.2)
    stuck, other = [Watcher(servicer) for _ in range(20)], Watcher(servicer)
    for watcher in (*stuck, other):
        watcher.come()
    for watcher in stuck:
        watcher.has_room.clear()
    begun = time.monotonic()
    servicer.tell(is_serving=True)
    assert time.monotonic() - begun < 2  # one after the other it were four seconds
    assert all(watcher.was_cancelled for watcher in stuck)
    assert other.seen == [NOT_SERVING, SERVING]
    assert not other.was_cancelled


def test_not_more_watch_than_may(servicer, monkeypatch):
    monkeypatch.setattr(health, "MOST_WATCHES", 2)
    first, second, third = (Watcher(servicer) for _ in range(3))
    first.come()
    second.come()
    with pytest.raises(TooManyStreams):
        third.come()
    first.leave()
    third.come()
    assert third.seen == [NOT_SERVING]


def test_a_crowd_that_takes_nothing_holds_the_threads_for_a_shorter_time(servicer, monkeypatch):
    monkeypatch.setattr(health, "_SENT_WITHIN", 10)
    monkeypatch.setattr(health, "_CROWD", 2)
    stuck = [Watcher(servicer) for _ in range(3)]
    coming = [threading.Thread(target=watcher.come) for watcher in stuck]
    for watcher, thread in zip(stuck, coming, strict=True):
        watcher.has_room.clear()
        thread.start()
        assert watcher.is_sending.wait(10)
    coming[2].join(5)
    assert [watcher.was_cancelled for watcher in stuck] == [False, False, True]
    for watcher, thread in zip(stuck, coming, strict=True):
        watcher.has_room.set()
        thread.join()
    # Those that have begun are no crowd.
    slow = Watcher(servicer)
    slow.has_room.clear()
    threading.Timer(0.5, slow.has_room.set).start()
    slow.come()
    assert not slow.was_cancelled
    assert slow.seen == [NOT_SERVING]


def test_who_does_not_take_the_end_is_left_and_waited_for_by_nobody(servicer, monkeypatch):
    monkeypatch.setattr(health, "_SENT_WITHIN", 0.2)
    stuck, gone = Watcher(servicer), Watcher(servicer)
    stuck.come()
    gone.come()
    servicer.end_watches()
    assert not stuck.was_cancelled
    gone.leave()
    wait_until(lambda: stuck.was_cancelled)
    assert not gone.was_cancelled
    assert stuck.seen == gone.seen == [NOT_SERVING, None]


def test_one_that_comes_after_the_end_is_ended(servicer):
    watcher = Watcher(servicer)
    servicer.end_watches()
    watcher.come()
    assert watcher.seen == [NOT_SERVING, None]


def test_what_changes_while_one_is_told_is_told_after_it(servicer):
    watcher = Watcher(servicer)
    watcher.has_room.clear()
    comes = threading.Thread(target=watcher.come)
    comes.start()
    assert watcher.is_sending.wait(10)
    change = threading.Thread(target=servicer.tell, kwargs={"is_serving": True})
    change.start()
    watcher.has_room.set()
    for thread in (comes, change):
        thread.join()
    wait_until(lambda: watcher.seen == [NOT_SERVING, SERVING])

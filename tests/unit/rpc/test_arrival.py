"""Calls whose message does not come are ended, and never one whose message has come."""

import threading

import grpc
import pytest

from movieapp.rpc import arrival
from movieapp.rpc.arrival import FIRST_WITHIN, NEXT_WITHIN, Arrivals
from movieapp.rpc.errors import Expired
from tests.waiting import wait_until

TIMEOUT = 10


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Call:
    """A call whose messages the test sends, and its context."""

    def __init__(self):
        self.changed = threading.Condition()
        self.messages = []
        self.is_ended = False
        self.asked = 0
        self.outcome = None

    def send(self, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def cancel(self):
        with self.changed:
            self.is_ended = True
            self.changed.notify_all()

    def __iter__(self):
        return self

    def __next__(self):
        with self.changed:
            self.asked += 1
            assert self.changed.wait_for(lambda: self.messages or self.is_ended, TIMEOUT)
            if self.messages:
                return self.messages.pop(0)
        raise grpc.RpcError

    def begin(self, take):
        """Takes its messages in a thread of its own, as a handler does."""

        def run():
            try:
                self.outcome = take()
            except Exception as error:
                self.outcome = error

        before = self.asked
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        wait_until(lambda: self.asked > before)

    def end(self):
        self.thread.join(TIMEOUT)
        return self.outcome


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def arrivals(clock):
    return Arrivals(crowd=3, clock=clock)


@pytest.fixture
def waiting(arrivals):
    """Starts a call that waits for its first message."""

    def start():
        call = Call()
        call.begin(lambda: arrivals.first(call, call))
        return call

    return start


@pytest.fixture
def pass_seconds(arrivals, clock):
    """Time passes, and it looks every now and then, as it does by itself."""

    def pass_seconds(seconds):
        until = clock.now + seconds
        while clock.now < until:
            clock.now = min(clock.now + 0.5, until)
            arrivals.turn()

    return pass_seconds


def test_a_call_without_its_message_is_ended_in_time(waiting, pass_seconds):
    call = waiting()
    pass_seconds(FIRST_WITHIN - 0.01)
    assert not call.is_ended
    pass_seconds(0.02)
    assert isinstance(call.end(), grpc.RpcError)


def test_a_call_that_has_its_message_is_left_alone(waiting, pass_seconds):
    call = waiting()
    call.send("message")
    assert call.end() == "message"
    pass_seconds(2 * FIRST_WITHIN)
    assert not call.is_ended


def test_a_process_that_was_stopped_gives_the_messages_time_to_be_read(waiting, arrivals, clock, pass_seconds):
    call = waiting()
    pass_seconds(1)
    clock.now += 3600
    arrivals.turn()
    pass_seconds(FIRST_WITHIN - 0.01)
    assert not call.is_ended
    pass_seconds(0.02)
    assert isinstance(call.end(), grpc.RpcError)


def test_a_message_that_comes_while_its_call_is_ended_is_not_answered(arrivals, pass_seconds):
    class Late:
        def cancel(self):
            pass

    class Messages:
        def __next__(self):
            pass_seconds(FIRST_WITHIN + 0.01)
            return "message"

    with pytest.raises(Expired):
        arrivals.first(Messages(), Late())


def test_a_call_whose_message_comes_during_the_look_is_left_alone(arrivals, clock, pass_seconds):
    class TakenMeanwhile(dict):
        def pop(self, key, default=None):
            super().pop(key, None)
            return default

    call = Call()
    arrivals._first = TakenMeanwhile({call: clock.now})
    pass_seconds(FIRST_WITHIN + 0.01)
    assert not call.is_ended


def test_a_call_without_messages_has_none(arrivals):
    assert arrivals.first(iter(()), Call()) is None
    assert list(arrivals.each(iter(()), Call())) == []


def test_many_that_wait_make_room_sooner(arrivals, waiting, pass_seconds):
    calls = [waiting() for _ in range(2)]
    pass_seconds(1)
    assert not any(call.is_ended for call in calls)
    late = waiting()
    arrivals.turn()
    assert all(isinstance(call.end(), grpc.RpcError) for call in calls)
    assert not late.is_ended
    late.cancel()


@pytest.mark.parametrize("hurried", [0.2, 1.0])
def test_how_soon_is_said(clock, hurried):
    arrivals = Arrivals(crowd=1, hurried=hurried, clock=clock)
    call = Call()
    call.begin(lambda: arrivals.first(call, call))
    clock.now += hurried - 0.01
    arrivals.turn()
    assert not call.is_ended
    clock.now += 0.02
    arrivals.turn()
    assert isinstance(call.end(), grpc.RpcError)


def test_between_two_messages_there_is_more_time(arrivals, pass_seconds):
    call = Call()
    call.send("first")
    call.begin(lambda: list(arrivals.each(call, call)))
    wait_until(lambda: call.asked == 2)
    pass_seconds(NEXT_WITHIN - 0.01)
    assert not call.is_ended
    pass_seconds(0.02)
    assert isinstance(call.end(), grpc.RpcError)


def test_one_that_sends_many_may_begin_late_where_that_is_said(clock):
    arrivals = Arrivals(crowd=1, begins_late=True, clock=clock)
    call, one = Call(), Call()
    call.begin(lambda: list(arrivals.each(call, call)))
    one.begin(lambda: arrivals.first(one, one))
    for _ in range(2 * int(NEXT_WITHIN) - 1):
        clock.now += 0.5
        arrivals.turn()
    assert isinstance(one.end(), grpc.RpcError)
    assert not call.is_ended
    clock.now += 0.6
    arrivals.turn()
    assert isinstance(call.end(), grpc.RpcError)


def test_nothing_is_kept_of_calls_that_are_over(arrivals):
    call = Call()
    call.cancel()
    with pytest.raises(grpc.RpcError):
        arrivals.first(call, call)
    assert list(arrivals.each(iter("abc"), Call())) == ["a", "b", "c"]
    assert not arrivals._first
    assert not arrivals._next


def test_it_looks_by_itself_inside_the_block(monkeypatch):
    monkeypatch.setattr(arrival, "FIRST_WITHIN", 0.1)
    with Arrivals(crowd=3) as arrivals:
        call = Call()
        call.begin(lambda: arrivals.first(call, call))
        assert isinstance(call.end(), grpc.RpcError)
    assert not arrivals._looking.is_alive()

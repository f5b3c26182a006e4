"""Streams that are open: what ends them, and that nothing of them stays."""

import pytest

from movieapp.rpc.errors import StreamEnded
from movieapp.rpc.open_streams import OpenStreams
from tests.unit.rpc.stand_ins import Context


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def streams(clock):
    return OpenStreams(patience=60.0, seconds=clock)


@pytest.fixture
def opened(streams):
    """Opens one whose caller may write."""
    return lambda context: streams.open(context, check=lambda: None)


def test_one_whose_client_goes_is_woken_and_does_not_go_on(streams, opened):
    woken, context = [], Context()
    with opened(context) as stream:
        stream.wakes(lambda: woken.append(True))
        assert stream.goes_on()
        (gone,) = context.callbacks
        gone()
        assert not stream.goes_on()
        assert len(streams) == 1
    assert woken == [True]
    assert len(streams) == 0


def test_one_whose_client_had_gone_before_does_not_go_on(opened):
    context = Context()
    context.is_active = False
    with opened(context) as stream:
        assert not stream.goes_on()


def test_a_stop_ends_those_that_are_open_and_those_that_come(streams, opened):
    woken, context = [], Context()
    with opened(context) as stream:
        stream.wakes(lambda: woken.append(True))
        streams.stop()
        assert woken == [True]
        with pytest.raises(StreamEnded, match="the server stops"):
            stream.goes_on()
    with pytest.raises(StreamEnded), opened(Context()):
        pytest.fail("it was opened")
    assert len(streams) == 0
    assert context.cancelled == 0


def test_a_stop_cancels_one_that_nobody_can_wake(streams, opened):
    context = Context()
    with opened(context):
        streams.stop()
    assert context.cancelled == 1


def test_what_ended_before_anybody_listened_is_told_to_whoever_listens_then(opened):
    woken = []
    with opened(Context()) as stream:
        stream.leave()
        stream.wakes(lambda: woken.append(True))
    assert woken == [True]


def test_each_call_has_its_own(streams, opened):
    one, other = Context(), Context()
    with opened(one) as first, opened(other) as second:
        assert streams.of(one) is first
        assert streams.of(other) is second


def test_an_answer_that_is_not_taken_ends_its_stream(streams, opened, clock):
    slow, quick = Context(), Context()
    with opened(slow) as held, opened(quick) as taken:
        for stream in (held, taken):
            with stream.answering():
                clock.now += 59.9
                streams.turn()
        clock.now += 1000
        with held.answering():
            clock.now += 59.9
            streams.turn()
            assert slow.cancelled == 0
            clock.now += 0.2
            streams.turn()
            assert slow.cancelled == 1
        assert not held.goes_on()
        assert taken.goes_on()
        assert quick.cancelled == 0

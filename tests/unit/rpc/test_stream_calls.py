"""Streams: as many as there are slots, and whoever may not write any more is noticed while one lasts."""

from contextlib import suppress

import grpc
import pytest

from movieapp.rpc import method
from movieapp.rpc.errors import Unauthenticated
from movieapp.rpc.method import Method, streaming
from movieapp.rpc.open_streams import OpenStreams
from movieapp.rpc.rules import Write
from protos.tutorial import movie_pb2 as pb
from tests.unit.rpc.stand_ins import Aborted, Anybody, Connections, Context, Nobody, Watcher, pipeline_of

ANSWER = pb.GetMetadataResponse()
MESSAGE = pb.GetMetadataRequest()


class Until:
    """A guard that lets a call in so many times."""

    def __init__(self, times):
        self.times = times

    def check(self, context, rule):
        self.times -= 1
        if self.times < 0:
            raise Unauthenticated("logged out")


def three_answers(argument, context):
    yield from [ANSWER] * 3


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def stream(watcher):
    """A stream method of a server with one slot."""

    def make(call=three_answers, *, rule="read", guard=None, takes_many=False):
        pipeline = pipeline_of(watcher, guard=guard or Anybody())
        return streaming(Method(service="S", name="M", call=call, rule=rule, takes_many=takes_many, pipeline=pipeline))

    return make


def outcome(respond, messages=(MESSAGE,)):
    """The answers of a call and what it was aborted with."""
    context, answers = Context(), []
    with suppress(Aborted):
        answers.extend(respond(iter(messages), context))
    return answers, context.aborted


def test_its_answers(stream, watcher):
    assert outcome(stream()) == ([ANSWER] * 3, None)
    assert watcher.told == [("S", "M"), "start", "OK"]


def test_more_than_there_are_slots_are_refused_at_once(stream):
    respond = stream()
    first = respond(iter([MESSAGE]), Context())
    assert next(first) is ANSWER
    answers, (code, words) = outcome(respond)
    assert (answers, code) == ([], "RESOURCE_EXHAUSTED")
    assert "as many streams open as it takes" in words
    assert list(first) == [ANSWER] * 2
    assert outcome(respond)[1] is None


def fail(argument, context):
    yield ANSWER
    raise RuntimeError


@pytest.mark.parametrize("how", ["closed", "failed", "caller gone", "refused"])
def test_a_slot_is_free_again_however_its_stream_ends(stream, how):
    def gone():
        raise grpc.RpcError
        yield

    respond = stream(fail if how == "failed" else three_answers)
    if how == "closed":
        opened = respond(iter([MESSAGE]), Context())
        next(opened)
        opened.close()
    elif how == "failed":
        assert outcome(respond)[1][0] == "INTERNAL"
    elif how == "caller gone":
        with pytest.raises(grpc.RpcError):
            next(respond(gone(), Context()))
    else:
        assert outcome(respond, ())[1][0] == "INVALID_ARGUMENT"
    assert outcome(respond)[0]


def test_an_answer_that_is_too_large(stream, monkeypatch):
    monkeypatch.setattr(method, "MOST_OUT", 2)
    large = pb.GetMetadataResponse(metadata=pb.Metadata(id="7"))
    assert outcome(stream(lambda argument, context: iter([large])))[1][0] == "RESOURCE_EXHAUSTED"


def test_who_writes_is_asked_whenever_the_servicer_says_that_it_will(watcher):
    pipeline = pipeline_of(watcher, guard=Until(3))

    def write(argument, context):
        for _ in range(3):
            pipeline.open_streams.of(context).check()
            yield ANSWER

    rule = Write(("ratings.add_rating",))
    respond = streaming(Method(service="S", name="M", call=write, rule=rule, takes_many=False, pipeline=pipeline))
    assert outcome(respond) == ([ANSWER] * 2, ("UNAUTHENTICATED", "logged out"))


@pytest.mark.parametrize("guard", [Anybody(), Nobody()], ids=["answered", "refused"])
def test_its_thread_keeps_no_connection(watcher, guard):
    connections = Connections()
    pipeline = pipeline_of(watcher, guard=guard, connections=connections)
    rule = Write(("ratings.add_rating",))
    outcome(
        streaming(Method(service="S", name="M", call=three_answers, rule=rule, takes_many=False, pipeline=pipeline))
    )
    assert connections.closed


def test_an_answer_that_nobody_takes_is_waited_for_in_every_stream(watcher):
    pipeline = pipeline_of(watcher, open_streams=OpenStreams(patience=0.0))
    method = Method(service="S", name="M", call=three_answers, rule="read", takes_many=False, pipeline=pipeline)
    context = Context()
    respond = streaming(method)(iter([MESSAGE]), context)
    next(respond)
    pipeline.open_streams.turn()
    assert context.cancelled == 1


def test_a_server_that_stops_says_so(watcher):
    pipeline = pipeline_of(watcher)
    pipeline.open_streams.stop()
    method = Method(service="S", name="M", call=three_answers, rule="read", takes_many=False, pipeline=pipeline)
    answers, (code, words) = outcome(streaming(method))
    assert (answers, code) == ([], "UNAVAILABLE")
    assert words.startswith("the server stops")

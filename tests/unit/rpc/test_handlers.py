"""Servicers become handlers by rules, and none without one; the calls themselves go through one pipeline."""

import grpc
import pytest
from django.apps import apps
from django.db import OperationalError
from django.http import Http404

from metadata.errors import MovieNotFound
from movieapp.catalogue.serving.services import SERVICES
from movieapp.rpc.errors import MethodWithoutRule
from movieapp.rpc.handlers import handlers_of
from movieapp.rpc.method import MALFORMED
from movieapp.rpc.rules import Write
from protos.tutorial import movie_pb2 as pb
from protos.tutorial.movie_pb2_grpc import MetadataServiceServicer
from tests.unit.rpc.stand_ins import Aborted, Anybody, Connections, Context, Threads, Watcher, pipeline_of

SERVICE = pb.DESCRIPTOR.services_by_name["MetadataService"]
RULES = {"GetMetadata": "read", "PutMetadata": Write(("metadata.add_movie",))}
OFFERS = [offer for service in SERVICES.values() for offer in service.offers]


class Servicer(MetadataServiceServicer):
    """Does one after the other what it is given to do: raises errors, returns answers."""

    def __init__(self, *deeds):
        self.deeds = list(deeds)
        self.calls = 0

    def GetMetadata(self, request, context):
        self.calls += 1
        deed = self.deeds.pop(0)
        if isinstance(deed, Exception):
            raise deed
        return deed

    PutMetadata = GetMetadata


class Details:
    def __init__(self, method):
        self.method = method
        self.invocation_metadata = ()


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def call(watcher):
    """Calls a method of a servicer with these messages, as a server would: the answer, or what it was aborted with."""

    def call(servicer, *messages, method="GetMetadata", connections=None, left=5.0, guard=None):
        pipeline = pipeline_of(watcher, guard=guard, connections=connections)
        handler = handlers_of(servicer, service=SERVICE, rules=RULES, pipeline=pipeline)
        found = handler.service(Details(f"/MetadataService/{method}"))
        context = Context(left)
        try:
            return found.stream_unary(iter(messages or (pb.GetMetadataRequest(),)), context)
        except Aborted:
            return context.aborted

    return call


@pytest.mark.parametrize("rules", [{}, {"GetMetadata": "read"}, {**RULES, "Misspelt": "read"}])
def test_methods_and_rules_must_be_the_same(rules):
    with pytest.raises(MethodWithoutRule, match="MetadataService: methods and rules differ in "):
        handlers_of(Servicer(), service=SERVICE, rules=rules, pipeline=None)


def test_what_a_servicer_does_not_have_is_not_offered(watcher):
    pipeline = pipeline_of(watcher)
    handler = handlers_of(MetadataServiceServicer(), service=SERVICE, rules=RULES, pipeline=pipeline)
    assert handler.service(Details("/MetadataService/GetMetadata")) is None


def test_a_call_is_refused_while_its_threads_are_full(watcher):
    servicer, calls, context = Servicer(pb.GetMetadataResponse()), Threads(is_full=True), Context()
    handler = handlers_of(servicer, service=SERVICE, rules=RULES, pipeline=pipeline_of(watcher, calls=calls))
    find = Details("/MetadataService/GetMetadata")
    with pytest.raises(Aborted):
        handler.service(find).stream_unary(iter([pb.GetMetadataRequest()]), context)
    assert context.aborted[0] == "RESOURCE_EXHAUSTED"
    assert servicer.calls == 0
    calls.is_full = False
    handler.service(find).stream_unary(iter([pb.GetMetadataRequest()]), Context())
    assert servicer.calls == 1


@pytest.mark.parametrize("path", ["/MetadataService/Nothing", "/Nothing/GetMetadata", ""])
def test_what_is_not_the_services_is_nobodys_here(watcher, path):
    handler = handlers_of(Servicer(), service=SERVICE, rules=RULES, pipeline=pipeline_of(watcher))
    assert handler.service(Details(path)) is None


def test_an_answer(call, watcher):
    answer = pb.GetMetadataResponse(metadata=pb.Metadata(id="7"))
    assert call(Servicer(answer)) is answer
    assert watcher.told[-2:] == ["start", "OK"]
    assert ("MetadataService", "GetMetadata") in watcher.told


def test_an_anticipated_error_and_a_bug(call, watcher):
    assert call(Servicer(MovieNotFound("7"))) == ("NOT_FOUND", 'there is no movie with the id "7"')
    assert call(Servicer(Http404("secret"))) == ("INTERNAL", "an unexpected error; the log has its reason")
    assert [told for told in watcher.told if isinstance(told, str)] == ["start", "NOT_FOUND", "start", "INTERNAL"]


def test_what_is_not_begun(call):
    servicer = Servicer()
    assert call(servicer, left=0.0)[0] == "DEADLINE_EXCEEDED"
    assert call(servicer, MALFORMED)[0] == "INVALID_ARGUMENT"
    assert call(servicer, method="PutMetadata") == ("PERMISSION_DENIED", "nobody writes here")
    assert servicer.calls == 0


def test_a_caller_that_has_gone_is_no_error_of_ours(call, watcher):
    def gone():
        raise grpc.RpcError
        yield

    handler = handlers_of(Servicer(), service=SERVICE, rules=RULES, pipeline=pipeline_of(watcher))
    with pytest.raises(grpc.RpcError):
        handler.service(Details("/MetadataService/GetMetadata")).stream_unary(gone(), Context())
    assert watcher.told[-1] == "CANCELLED"


def test_a_read_is_tried_again_on_a_new_connection_and_once_only(call):
    answer = pb.GetMetadataResponse()
    assert call(Servicer(OperationalError(), answer)) is answer
    assert call(Servicer(OperationalError(), OperationalError(), answer))[0] == "UNAVAILABLE"


def test_a_write_is_never_tried_again(call):
    servicer = Servicer(OperationalError(), pb.PutMetadataResponse())
    assert call(servicer, method="PutMetadata", guard=Anybody())[0] == "UNAVAILABLE"
    assert servicer.calls == 1


@pytest.mark.parametrize(
    "connections", [Connections(has_served=False), Connections(is_lost=False)], ids=["new", "it still answers"]
)
def test_a_read_is_not_tried_again_for_nothing(call, connections):
    servicer = Servicer(OperationalError(), pb.GetMetadataResponse())
    assert call(servicer, connections=connections)[0] == "UNAVAILABLE"
    assert servicer.calls == 1


def test_a_statement_that_was_ended_for_its_deadline(call):
    class Slow(Servicer):
        def GetMetadata(self, request, context):
            context.left = -0.1
            raise OperationalError("canceling statement due to statement timeout")

    assert call(Slow(), connections=Connections(is_lost=False))[0] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.descriptor.full_name)
def test_every_method_of_ours_has_the_rule_that_its_name_tells(offer):
    assert offer.rules.keys() == {method.name for method in offer.descriptor.methods}
    for name, rule in offer.rules.items():
        assert isinstance(rule, Write) == name.startswith(("Put", "Delete"))
        if isinstance(rule, Write):
            assert rule.open_to_loopback == ("." not in offer.descriptor.full_name)
            for permission in rule.permissions:
                app, _, codename = permission.partition(".")
                action, _, model = codename.partition("_")
                assert action in apps.get_model(app, model)._meta.default_permissions

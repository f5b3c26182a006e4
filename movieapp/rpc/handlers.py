"""Makes a servicer's methods into what a gRPC server takes: each by its rule, and as many calls as its threads take."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from movieapp.rpc.errors import MethodWithoutRule
from movieapp.rpc.method import MALFORMED, Method, Pipeline, Unusable, streaming, unary, without_thread
from movieapp.rpc.rules import Rule
from movieapp.rpc.threads import AtOnce, CallThreads

MOST_ENTRIES = 10_000
"""In one field of a request: far more than any method takes, which says so itself of what is nearer to its bound."""

_Offered = tuple["grpc.RpcMethodHandler[Any, Any]", CallThreads]


def handlers_of(
    servicer: object, *, service: ServiceDescriptor, rules: Mapping[str, Rule], pipeline: Pipeline
) -> "grpc.GenericRpcHandler[Any, Any]":
    """The service's methods, answered by the servicer; one that it does not have is UNIMPLEMENTED.

    Raises MethodWithoutRule, and for a rule without its method too: who may call what is said of every one.
    """
    names = {method.name for method in service.methods}
    if odd := names ^ rules.keys():
        raise MethodWithoutRule(f"{service.full_name}: methods and rules differ in {', '.join(sorted(odd))}")
    handlers: dict[str, _Offered] = {}
    for described in service.methods:
        call = getattr(servicer, described.name, None)
        if call is not None and not _is_generated(call):
            method = Method(
                service=service.full_name,
                name=described.name,
                call=call,
                rule=rules[described.name],
                takes_many=described.client_streaming,
                pipeline=pipeline,
            )
            handlers[f"/{service.full_name}/{described.name}"] = _handler(method, described)
    return _Handlers(handlers)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic only in its stubs
    """The methods of one service, by their paths; a refusal in the place of one whose threads have no room for more.

    grpc's own bound counts the calls of all threads together, and so refuses those of one for those of another.
    """

    def __init__(self, offered: Mapping[str, _Offered]) -> None:
        self._offered = offered

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Asked by grpc for each call; None for what is not this service's."""
        found = self._offered.get(details.method)
        if found is None:
            return None
        handler, threads = found
        return _FULL if threads.is_full else handler


def _refuse(_messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
    """For a call that no thread takes, not even to refuse it."""
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server has as many calls in hand as it takes: try later")


_refuse.experimental_thread_pool = AtOnce()  # type: ignore[attr-defined]
_FULL: "grpc.RpcMethodHandler[Any, Any]" = grpc.stream_unary_rpc_method_handler(_refuse)


def _handler(method: Method, described: MethodDescriptor) -> _Offered:
    deserialise = _deserialiser(GetMessageClass(described.input_type))
    serialise = GetMessageClass(described.output_type).SerializeToString
    if not described.server_streaming:
        handler = grpc.stream_unary_rpc_method_handler(unary(method), deserialise, serialise)
        return handler, method.pipeline.calls
    if getattr(method.call, "experimental_non_blocking", False):
        handler = grpc.stream_stream_rpc_method_handler(without_thread(method), deserialise, serialise)
        return handler, method.pipeline.calls
    handler = grpc.stream_stream_rpc_method_handler(streaming(method), deserialise, serialise)
    return handler, method.pipeline.streams


def _deserialiser(message_class: type[Any]) -> Callable[[bytes], object]:
    parse = message_class.FromString

    def deserialise(data: bytes) -> object:
        try:
            message: object = parse(data)
        except (DecodeError, ValueError):
            return MALFORMED
        return message

    lists = _lists(message_class.DESCRIPTOR)
    if not lists:
        return deserialise

    # An entry of two bytes is an object of some sixty: what has so many must not wait for its thread.
    def deserialise_bounded(data: bytes) -> object:
        message = deserialise(data)
        if message is MALFORMED:
            return message
        for name, entries_of in lists:
            if (count := len(entries_of(message))) > MOST_ENTRIES:
                return Unusable(f"{name}: it has {count} entries, more than any method takes")
        return message

    return deserialise_bounded


def _lists(message: Descriptor, *, within: str = "") -> Sequence[tuple[str, Callable[[object], Any]]]:
    """The repeated fields of a message and of what it has once: names, as "metadata.genres", and how to get them."""
    found: list[tuple[str, Callable[[object], Any]]] = []
    for field in message.fields:
        name = f"{within}{field.name}"
        if field.is_repeated:
            found.append((name, attrgetter(name)))
        elif field.message_type is not None:
            found += _lists(field.message_type, within=f"{name}.")
    return found


def _is_generated(call: Callable[..., Any]) -> bool:
    """Whether it is the generated stand-in, which says that the method is not implemented."""
    return call.__module__.endswith("_pb2_grpc")

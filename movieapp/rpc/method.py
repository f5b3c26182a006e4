"""How a call is answered, whatever its method: deadline, message, permission, answer, and errors by the one table."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import structlog
from django.db import InterfaceError, OperationalError

from movieapp.anticipated import UNEXPECTED, answer_to, is_trouble_of_database, words_for
from movieapp.rpc.arrival import Arrivals
from movieapp.rpc.connections import ServerConnections
from movieapp.rpc.departure import SMALL, Departures
from movieapp.rpc.errors import Expired, MalformedMessage, TooLarge, TooManyStreams
from movieapp.rpc.open_streams import OpenStreams
from movieapp.rpc.repeated import Repeated
from movieapp.rpc.rules import Guard, Rule, Write
from movieapp.rpc.threads import CallThreads

MOST_OUT = 4 * 1024 * 1024
"""Bytes; the largest answer, as large as gRPC's clients take by default."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Stands for a message that no method takes: grpc would call it an internal error if a deserialiser raised."""

    words: str


MALFORMED = Unusable("the bytes are not a message of this method, or hold text that is not UTF-8")
"""Stands for bytes that are no message."""

# Streams that look a token up at a time, each on a connection to the database: streams are many, tokens may be made up.
_LOOKED_UP_AT_ONCE = 16

log = structlog.get_logger(__name__)


class MethodObserver(Protocol):
    """Is told of each call of one method."""

    def on_start(self) -> None:
        """A call has begun."""

    def on_end(self, code: str, seconds: float) -> None:
        """It has ended with this grpc.StatusCode, by name."""


class Observer(Protocol):
    """Watches all methods of a server."""

    def of(self, *, service: str, method: str, is_stream: bool) -> MethodObserver:
        """What is told of this method's calls; called once for each when the server is made."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the calls of one server go through.

    Calls with one answer have their threads in `calls`, and `arrivals` waits for their messages. Streams have theirs in
    `streams`, and `openings`, not to hold up other calls, and each takes one of `slots` while it is open; that pool has
    a few threads more, which refuse what is too many.
    """

    guard: Guard
    observer: Observer
    connections: ServerConnections
    arrivals: Arrivals
    departures: Departures
    calls: CallThreads
    streams: CallThreads
    openings: Arrivals
    open_streams: OpenStreams
    slots: threading.Semaphore
    lookups: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_LOOKED_UP_AT_ONCE))
    outages: Repeated = field(default_factory=lambda: Repeated("database_unavailable"))


@dataclass(frozen=True, slots=True)
class Method:
    """A servicer's method: `call` takes the message, or with `takes_many` an iterator of them, and the context."""

    service: str
    name: str
    call: Callable[..., Any]
    rule: Rule
    takes_many: bool
    pipeline: Pipeline


# Every method is registered as one that takes a stream, and takes one message from it where it is unary: a handler
# that grpc starts only with its message has no context to end a call by whose message never comes.
def unary(method: Method) -> Callable[[Iterator[Any], grpc.ServicerContext], Any]:
    """Answers calls of a method with one answer."""
    observed = method.pipeline.observer.of(service=method.service, method=method.name, is_stream=False)
    let_in, ask = _let_in(method, arrivals=method.pipeline.arrivals), _asking(method)
    count = method.pipeline.departures.count

    def respond(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        begun = time.perf_counter()
        observed.on_start()
        code = "OK"
        try:
            argument = let_in(messages, context)
            answer = ask(argument, context)
            size = _size_of(answer)
            if size > SMALL:
                count(size, context)
        except grpc.RpcError:  # the caller is gone
            code = "CANCELLED"
            raise
        except Exception as error:
            code, words = _told(error, method, context)
        else:
            return answer
        finally:
            observed.on_end(code, time.perf_counter() - begun)
        return context.abort(grpc.StatusCode[code], words)

    respond.experimental_thread_pool = method.pipeline.calls  # type: ignore[attr-defined]
    return respond


def streaming(method: Method) -> Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]:
    """Answers calls of a method with many answers; its servicer's method is a generator."""
    observed = method.pipeline.observer.of(service=method.service, method=method.name, is_stream=True)
    answers = _answering(method)

    def respond(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        begun = time.perf_counter()
        observed.on_start()
        code = "OK"
        try:
            yield from answers(messages, context)
        except (grpc.RpcError, GeneratorExit):
            code = "CANCELLED"
            raise
        except Exception as error:
            code, words = _told(error, method, context)
        else:
            return
        finally:
            observed.on_end(code, time.perf_counter() - begun)
        context.abort(grpc.StatusCode[code], words)

    respond.experimental_thread_pool = method.pipeline.streams  # type: ignore[attr-defined]
    return respond


def _answering(method: Method) -> Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]:
    """The answers of a method with many, while it has one of the slots and its caller may still have them."""
    call, slots, connections = method.call, method.pipeline.slots, method.pipeline.connections
    open_streams, check = method.pipeline.open_streams, _checking(method)
    let_in = _let_in(method, arrivals=method.pipeline.openings, check=check)

    def answers(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        if not slots.acquire(blocking=False):
            raise TooManyStreams("the server has as many streams open as it takes: try again later, or another one")
        try:
            with open_streams.open(context, check=lambda: check(context)) as stream:
                for answer in call(let_in(messages, context), context):
                    _size_of(answer)
                    with stream.answering():  # grpc asks for the next one only once this one is sent
                        yield answer
        finally:
            slots.release()
            connections.close()  # streams are many, and their threads may have no other one for hours

    return answers


def _checking(method: Method) -> Callable[[grpc.ServicerContext], None]:
    """Whether a stream's caller may write, now."""
    rule, guard = method.rule, method.pipeline.guard
    connections, lookups = method.pipeline.connections, method.pipeline.lookups

    def check(context: grpc.ServicerContext) -> None:
        if not isinstance(rule, Write):
            return
        with lookups:
            connections.tidy()
            try:
                guard.check(context, rule)
            except Exception:
                connections.close()
                raise

    return check


def without_thread(method: Method) -> Callable[..., None]:
    """Answers calls of a method that hands its answers to a callback, and needs no thread between them."""
    let_in = _let_in(method, arrivals=method.pipeline.arrivals)

    def respond(messages: Iterator[Any], context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
        try:
            method.call(let_in(messages, context), context, send)
        except grpc.RpcError:
            raise
        except Exception as error:
            code, words = _told(error, method, context)
        else:
            return
        context.abort(grpc.StatusCode[code], words)

    respond.experimental_non_blocking = True  # type: ignore[attr-defined]
    respond.experimental_thread_pool = method.pipeline.calls  # type: ignore[attr-defined]
    return respond


def _let_in(
    method: Method, *, arrivals: Arrivals, check: Callable[[grpc.ServicerContext], None] | None = None
) -> Callable[[Iterator[Any], grpc.ServicerContext], Any]:
    """What the servicer's method is called with, once the call is let in: by `check`, or the guard on this thread."""
    rule, takes_many = method.rule, method.takes_many
    guard, connections = method.pipeline.guard, method.pipeline.connections
    first, each = arrivals.first, arrivals.each

    def let_in(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        if context.time_remaining() <= 0:
            raise Expired("the deadline was over before the call could begin")
        argument = map(_checked, each(messages, context)) if takes_many else _checked(first(messages, context))
        if check is not None:
            check(context)
        elif isinstance(rule, Write):
            connections.tidy()  # the token may have to be looked up
            guard.check(context, rule)
        return argument

    return let_in


def _asking(method: Method) -> Callable[[Any, grpc.ServicerContext], Any]:
    """The servicer's method on a connection that is fit; a read goes on a new one if the one it had is found dead."""
    call, connections, is_read = method.call, method.pipeline.connections, method.rule == "read"

    def ask(argument: Any, context: grpc.ServicerContext) -> Any:
        has_served = connections.tidy()
        try:
            return call(argument, context)
        except (OperationalError, InterfaceError):
            if not (is_read and has_served and connections.is_lost()):
                raise
        connections.tidy()
        return call(argument, context)

    return ask


def _checked(message: Any) -> Any:
    if message is None:
        raise MalformedMessage("the call has no message")
    if type(message) is Unusable:
        raise MalformedMessage(message.words)
    return message


def _told(error: Exception, method: Method, context: grpc.ServicerContext) -> tuple[str, str]:
    """The status and the words for the caller; what nobody anticipated is told to the log alone."""
    is_of_database = is_trouble_of_database(error)
    if is_of_database and context.time_remaining() <= 0:
        error = Expired("the deadline was over before the database answered")
        is_of_database = False
    answer = answer_to(error)
    if answer is None:
        log.error("call_failed", service=method.service, method=method.name, exc_info=error)
        return "INTERNAL", UNEXPECTED
    if is_of_database:
        state = getattr(error.__cause__, "sqlstate", None)
        kind = type(error).__name__
        method.pipeline.outages.tell(service=method.service, method=method.name, error=kind, sqlstate=state)
    return answer.grpc, words_for(error)


def _size_of(answer: Any) -> int:
    """Bytes. Raises TooLarge."""
    size: int = answer.ByteSize()
    if size > MOST_OUT:
        raise TooLarge(f"the answer has {size} bytes and may have {MOST_OUT}: ask for fewer at a time")
    return size

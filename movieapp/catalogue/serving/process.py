"""Runs one gRPC server from its beginning to its orderly end."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from threading import Semaphore
from typing import NoReturn

import grpc
import structlog
from django.conf import settings

from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.grpc_details import GrpcDetails
from movieapp.catalogue.selectors import details_source
from movieapp.catalogue.serving.core_options import core_options
from movieapp.catalogue.serving.health import health_kept
from movieapp.catalogue.serving.listening import listen
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.own_health import own_health_asked
from movieapp.catalogue.serving.registration import entries_kept, instances_of
from movieapp.catalogue.serving.resources import Resources, resources_kept
from movieapp.catalogue.serving.services import SERVICES, Offer
from movieapp.rpc.arrival import Arrivals
from movieapp.rpc.connections import ServerConnections
from movieapp.rpc.departure import Departures
from movieapp.rpc.errors import MetricsPortTaken, UnusableCredentials
from movieapp.rpc.handlers import handlers_of
from movieapp.rpc.health import HealthServicer
from movieapp.rpc.method import Pipeline
from movieapp.rpc.metrics import ServerMetrics, metrics_served
from movieapp.rpc.standard import health_handlers, reflection_handlers
from movieapp.rpc.threads import CallThreads
from movieapp.rpc.tokens import TokenGuard
from workers.discovery.errors import UnusableSetting
from workers.processes.signs import signs_given
from workers.shutdown import Shutdown, shutdown_by_parent, two_stage_shutdown

_LOOK_EVERY = 0.1
# Calls that may wait for a thread, for each thread: what comes beyond is refused at once.
_WAITING = 4
# Threads that refuse streams while all slots are taken.
_REFUSING = 2
# Reflection streams at once, with places of their own: anybody may open them, and they take none from ratings.
_REFLECTING = 8
# Threads that streams, and questions about its health, have in any case: one may be held for long.
_STREAMS_AT_FIRST, _ASKED_AT_FIRST = 32, 4
# Seconds after the grace for grpc to say that all has ended: it never does if its own thread is gone.
_STOPPED_WITHIN = 10.0
# Threads for the health service, which answers while all others are busy. All clients of a server that was started
# again ask it at once; and whoever sends no question holds a thread, so that there are many, each for a short time.
_HEALTH, _HEALTH_WAITING, _HEALTH_HURRIED = 64, 1_000, 0.25

log = structlog.get_logger(__name__)


def serve(options: ServeOptions) -> int:
    """Serves until a signal, finishes the calls in hand, and returns the process's exit code.

    With a supervisor until that one says so or is gone. Raises CannotServe when an address is taken or not ours.
    """
    with _shutdown(options) as shutdown, signs_given(options.signs):
        with server_running(options, on_lost=lambda: _end_at_once(options)) as ports:
            log.info("serving", services=list(options.services), addresses=[options.address(port) for port in ports])
            while not shutdown.is_requested:
                time.sleep(_LOOK_EVERY)
        log.info("server_stopped")
    return 0


def _end_at_once(options: ServeOptions) -> NoReturn:
    """Ends this process, from any thread, so that whoever started it starts it again.

    A supervisor of ours does that for one that was killed; one that ends with an error would end all of them.
    """
    log.critical("server_lost", words="The server answers nobody any more: this process ends, to be started again.")
    if options.supervisor is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _shutdown(options: ServeOptions) -> AbstractContextManager[Shutdown]:
    if options.supervisor is None:
        return two_stage_shutdown(first_words="Finishing the calls in hand.")
    return shutdown_by_parent(options.supervisor)


@contextmanager
def server_running(
    options: ServeOptions,
    *,
    check: Callable[[], bool] | None = None,
    on_lost: Callable[[], object] = lambda: None,
) -> Iterator[Sequence[int]]:
    """A server that answers inside the block, and the ports that it has.

    It is in the registry while it is healthy, which `check` says, or else the database that it needs. At the block's
    end it leaves the registry and is not healthy any more, then takes no more calls, then ends those in hand. `on_lost`
    is called, from any thread, once it answers nobody any more or does not stop: only another process mends that.
    """
    with (
        ServerConnections() as connections,
        _threads(options.threads, "grpc", connections) as calls,
        _threads(
            options.streams + _REFLECTING + _REFUSING, "grpc-stream", connections, begins_with=_STREAMS_AT_FIRST
        ) as streams,
        _metrics() as observer,
        _resources(connections) as resources,
        Arrivals(crowd=_half(options.threads)) as arrivals,
        Arrivals(crowd=_half(options.streams), begins_late=True) as openings,
    ):
        pipeline = Pipeline(
            guard=_guard(options),
            observer=observer,
            connections=connections,
            arrivals=arrivals,
            departures=Departures(),
            calls=calls,
            streams=streams,
            openings=openings,
            open_streams=resources.streams,
            slots=Semaphore(options.streams),
        )
        in_hand = options.streams + (1 + _WAITING) * options.threads
        server = grpc.server(calls, options=core_options(options, in_hand=in_hand))
        _ready_for_details(options, observer)
        with (
            _threads(_HEALTH, "grpc-asked", connections, waiting=_HEALTH_WAITING, begins_with=_ASKED_AT_FIRST) as asked,
            Arrivals(crowd=_HEALTH // 2, hurried=_HEALTH_HURRIED) as questions,
            Arrivals(crowd=_half(_REFLECTING)) as reflections,
        ):
            health = HealthServicer(_names(options))
            _offer(server, options, pipeline, resources)
            apart = replace(pipeline, calls=asked, arrivals=questions)
            shown = replace(pipeline, openings=reflections, slots=Semaphore(_REFLECTING))
            reflection = reflection_handlers(_names(options), pipeline=shown)
            server.add_generic_rpc_handlers([health_handlers(health, pipeline=apart), reflection])
            ports = listen(server, options)
            with (
                own_health_asked(
                    server, options, ports[0], servicer=health, calls=calls, on_lost=on_lost
                ) as own_health,
                _started(server, options, health, resources, on_lost=on_lost),
                entries_kept(instances_of(options, ports), is_healthy=own_health.is_healthy) as entries,
                health_kept(health, options, check=check),
                entries.listed(),
            ):
                yield ports


def _offer(server: grpc.Server, options: ServeOptions, pipeline: Pipeline, resources: Resources) -> None:
    handlers = [
        handlers_of(offer.servicer(resources), service=offer.descriptor, rules=offer.rules, pipeline=pipeline)
        for offer in _offers(options)
    ]
    server.add_generic_rpc_handlers(handlers)


def _offers(options: ServeOptions) -> list[Offer]:
    return [offer for service in options.services for offer in SERVICES[service].offers]


def _half(places: int) -> int:
    """So many calls without their message are a crowd."""
    return min(places, max(2, places // 2))


def _names(options: ServeOptions) -> list[str]:
    return [offer.descriptor.full_name for offer in _offers(options)]


@contextmanager
def _threads(
    size: int, name: str, connections: ServerConnections, *, waiting: int | None = None, begins_with: int = 1
) -> Iterator[CallThreads]:
    """A pool, none of whose threads outlives the block: what still waits for the database then waits for nobody."""
    waiting = size * _WAITING if waiting is None else waiting
    try:
        pool = CallThreads(
            size, waiting=waiting, name=name, begins_with=begins_with, initializer=connections.adopt_thread
        )
    except RuntimeError as error:
        raise CannotServe(f"The server cannot have its threads: {error}.") from error
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        connections.cut()
        pool.shutdown()


@contextmanager
def _started(
    server: grpc.Server,
    options: ServeOptions,
    health: HealthServicer,
    resources: Resources,
    *,
    on_lost: Callable[[], object],
) -> Iterator[None]:
    server.start()
    try:
        yield
        # Clients leave by themselves meanwhile, as the server says that it is not healthy any more.
        time.sleep(options.drain)
    finally:
        stopped = server.stop(options.grace)
        health.end_watches()
        resources.streams.stop()
        if not stopped.wait(options.grace + _STOPPED_WITHIN):
            log.error("server_does_not_stop", seconds=options.grace + _STOPPED_WITHIN)
            on_lost()


def _guard(options: ServeOptions) -> TokenGuard:
    """Who may write. A proxy on this machine lets in others, so that loopback is no proof then."""
    is_ours_alone = options.is_loopback and not settings.GRPC_PLAINTEXT_BEHIND_TLS_PROXY
    return TokenGuard(is_open=is_ours_alone or settings.GRPC_UNPACKAGED_WRITES_WITHOUT_TOKEN)


@contextmanager
def _metrics() -> Iterator[ServerMetrics]:
    """What is counted, and where it can be read if somebody wants to."""
    metrics = ServerMetrics()
    if not settings.GRPC_METRICS_PORT:
        yield metrics
        return
    with ExitStack() as stack:
        try:
            port = stack.enter_context(metrics_served(metrics.registry, port=settings.GRPC_METRICS_PORT))
        except MetricsPortTaken as error:
            raise CannotServe(str(error)) from error
        log.info("metrics_served", port=port)
        yield metrics


@contextmanager
def _resources(connections: ServerConnections) -> Iterator[Resources]:
    """What the servicers share, with a thread and a connection of its own for it."""
    with _threads(1, "grpc-watches", connections) as looking, resources_kept(looking) as resources:
        yield resources


def _ready_for_details(options: ServeOptions, metrics: ServerMetrics) -> None:
    """Begins to look for the services that movie details come from, where they do, before the first call asks."""
    if "movie" not in options.services:
        return
    if len(options.services) > 1 and settings.MOVIE_DETAILS_SOURCE == "grpc":
        # Its calls would hold all threads, waiting for calls of the others that wait for a thread.
        raise CannotServe(
            "With MOVIE_DETAILS_SOURCE=grpc the movie service needs a process of its own, as it would ask this one: "
            "start one with `--service movie` and another one with the others, or set MOVIE_DETAILS_SOURCE=database."
        )
    try:
        source = details_source()
    except (UnusableCredentials, UnusableSetting) as error:
        raise CannotServe(str(error)) from error
    if isinstance(source, GrpcDetails):
        source.clients.tell_numbers(metrics.known_instances)

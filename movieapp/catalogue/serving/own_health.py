"""Asks this process's server, through a port of its own, whether it is healthy: one that hangs answers nobody."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import grpc
import structlog
from django.conf import settings

from movieapp.catalogue.serving.folders import own_folder
from movieapp.catalogue.serving.listening import listen_beside
from movieapp.catalogue.serving.options import LOOPBACK, ServeOptions
from movieapp.rpc.health import HealthServicer
from movieapp.rpc.threads import CallThreads

log = structlog.get_logger(__name__)

_TURNS_A_TTL = 3
_STUCK_AFTER = 10.0
"""Seconds; no call waits longer: a statement takes five at most, and a silent database is given up after seven."""

_LOST_AFTER = 30.0
_LOST_TTLS = 3
"""Seconds, and times to live in the registry: a server that has not answered itself for as long never will."""
_LOST_QUESTIONS = 10
"""So many at least were not answered: a process that was frozen for an hour has asked a few, and answers the next."""

_CHANNEL = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
_YES, _NO = b"serving", b"not serving"


class OwnHealth:
    """`ask` is a call of the server that answers as its health service stands; `calls` are its threads.

    `on_lost` is called when it has not answered, not even that it is not healthy, for three TTLs and 30 s at least.
    """

    def __init__(
        self,
        ask: Callable[..., bytes],
        *,
        calls: CallThreads,
        on_lost: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._calls = calls
        self._on_lost = on_lost
        self._clock = clock
        self._lost_after = max(_LOST_AFTER, _LOST_TTLS * settings.DISCOVERY_TTL_SECONDS)
        self._counting = threading.Lock()
        # Questions in a row that were not answered, and since when.
        self._unanswered, self._unanswered_since = 0, 0.0
        # Two heartbeats of a TTL may wait for their answers this long, and the entry stands.
        self._within = settings.DISCOVERY_TTL_SECONDS / _TURNS_A_TTL

    def is_healthy(self) -> bool:
        """Whether it says so, and its calls get on. However much it has to do, it is healthy while some of them end."""
        try:
            answer = self._ask(_YES, timeout=self._within)
        except grpc.RpcError as error:
            log.warning("own_health_unknown", code=error.code().name, reason=error.details())
            self._count_unanswered()
            return False
        self._unanswered = 0
        if self._calls.is_stuck(_STUCK_AFTER):
            log.warning("calls_stuck", seconds=_STUCK_AFTER)
            return False
        return answer == _YES

    def _count_unanswered(self) -> None:
        with self._counting:
            now = self._clock()
            if not self._unanswered:
                self._unanswered_since = now
            self._unanswered += 1
            is_lost = self._unanswered >= _LOST_QUESTIONS and now - self._unanswered_since >= self._lost_after
        if is_lost:
            self._on_lost()


@contextmanager
def own_health_asked(
    server: grpc.Server,
    options: ServeOptions,
    port: int,
    *,
    servicer: HealthServicer,
    calls: CallThreads,
    on_lost: Callable[[], object],
) -> Iterator[OwnHealth]:
    """Through the server's own port; entered before the server starts. Raises CannotServe.

    The method has a name that nobody else knows and a thread of its own: neither what the server has to do nor what
    strangers ask of its health service keeps it waiting. Beside TLS, or others on its port, it is asked through a
    socket in a folder that only this user may enter: a server need not trust its own certificate, nor have one that it
    takes from clients, and on the port another one may answer.
    """
    service = f"movieapp.own.{secrets.token_hex(16)}"
    with ExitStack() as stack:
        thread = stack.enter_context(ThreadPoolExecutor(1, "grpc-own-health"))
        server.add_generic_rpc_handlers([_handler(service, servicer, thread)])
        if settings.GRPC_TLS_CERTIFICATE or options.shares_port:
            target = listen_beside(server, f"{stack.enter_context(own_folder())}/health")
        else:
            target = replace(options, host=LOOPBACK.get(options.host, options.host)).address(port)
        channel = stack.enter_context(grpc.insecure_channel(target, options=_CHANNEL))
        ask = channel.unary_unary(f"/{service}/Ask", request_serializer=bytes, response_deserializer=bytes)
        yield OwnHealth(ask, calls=calls, on_lost=on_lost)


def _handler(
    service: str, servicer: HealthServicer, thread: ThreadPoolExecutor
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    def answer(_question: bytes, _context: grpc.ServicerContext) -> bytes:
        return _YES if servicer.is_serving else _NO

    answer.experimental_thread_pool = thread  # type: ignore[attr-defined]
    return grpc.method_handlers_generic_handler(service, {"Ask": grpc.unary_unary_rpc_method_handler(answer)})

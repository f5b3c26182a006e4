"""gRPC's standard health service: how the server and each of its services stands, now and at each change."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import OVERALL_HEALTH

from movieapp.rpc.errors import TooManyStreams

MOST_WATCHES = 2_000
"""Calls that watch at once; each takes some 40 KiB."""

_SENT_WITHIN = 1.0
"""Seconds; whoever does not take what it watches is left."""

# Once so many begin to watch at a time: each holds a thread that who else asks waits for.
_CROWD, _HURRIED_WITHIN = 16, 0.25

# So many that do not take it hold up nobody else.
_TOLD_AT_ONCE = 32

_Status = health_pb2.HealthCheckResponse.ServingStatus


# Not the servicer of grpc's own package: that one holds a lock while it sends, and takes the same lock in the one
# thread that tells it of what was sent. A watcher that leaves while another one comes stops the server for ever.
class HealthServicer:
    """The health of the server, by the name "", and of each of its services; at first none of them is serving."""

    def __init__(self, services: Iterable[str]) -> None:
        self._names = frozenset({OVERALL_HEALTH, *services})
        self._status: int = _Status.NOT_SERVING
        self._is_final = False
        self._has_ended = False
        self._setting = threading.Lock()
        # Changed in one step each, without a lock: grpc's own thread must never wait for one.
        self._watches: set[_Watch] = set()
        self._beginning: set[_Watch] = set()

    @property
    def is_serving(self) -> bool:
        """Whether all of them are, as callers are told."""
        return bool(self._status == _Status.SERVING)

    def tell(self, *, is_serving: bool) -> None:
        """From now on all of them are serving, or none; takes a second at most, whatever those who watch do."""
        self._set(_Status.SERVING if is_serving else _Status.NOT_SERVING)

    def enter_graceful_shutdown(self) -> None:
        """None of them is serving any more, whatever is told later; takes as long as `tell`."""
        self._set(_Status.NOT_SERVING, is_final=True)

    def end_watches(self) -> None:
        """Ends the calls that watch: each of them would last as long as its client, and keep the server from ending.

        Waits for none of them; those whose clients do not take the end either are cancelled a second later.
        """
        self._has_ended = True
        watches = tuple(self._watches)
        for watch in watches:
            watch.end()
        if watches:
            late = threading.Timer(_SENT_WITHIN, self._cancel)
            late.daemon = True
            late.start()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """How the server or the service stands; NOT_FOUND for a name that is not the server's."""
        if request.service not in self._names:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details("the server has no service of this name")
            return health_pb2.HealthCheckResponse()
        return health_pb2.HealthCheckResponse(status=self._status)

    def Watch(self, request: Any, context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:  # noqa: N802
        """How it stands now, and each change. A name that the server does not know now it never will.

        Raises TooManyStreams.
        """
        if len(self._watches) >= MOST_WATCHES:
            raise TooManyStreams("as many watch the server's health as may: try again later, or ask now and then")
        is_known = request.service in self._names
        watch = _Watch(context, send, status=lambda: self._status if is_known else _Status.SERVICE_UNKNOWN)
        self._watches.add(watch)
        if not context.add_callback(lambda: self._watches.discard(watch)):
            self._watches.discard(watch)
            return
        self._begin(watch)
        if self._has_ended:
            watch.end()

    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]

    def _begin(self, watch: "_Watch") -> None:
        self._beginning.add(watch)
        try:
            watch.begin(within=_SENT_WITHIN if len(self._beginning) <= _CROWD else _HURRIED_WITHIN)
        finally:
            self._beginning.discard(watch)

    def _set(self, status: int, *, is_final: bool = False) -> None:
        with self._setting:
            if self._is_final:
                return
            self._status, self._is_final = status, is_final
        watches = tuple(self._watches)
        if not watches:
            return
        # One that takes nothing waits beside the others, not before them.
        threads = ThreadPoolExecutor(min(len(watches), _TOLD_AT_ONCE), "grpc-health-told")
        told = {threads.submit(watch.tell): watch for watch in watches}
        for late in wait(told, _SENT_WITHIN).not_done:
            told[late].cancel()
        threads.shutdown(cancel_futures=True)

    def _cancel(self) -> None:
        for watch in tuple(self._watches):
            watch.cancel()


class _Watch:
    """One call that watches; `status` says what there is to see."""

    def __init__(
        self, context: grpc.ServicerContext, send: Callable[[Any], None], *, status: Callable[[], int]
    ) -> None:
        self._context = context
        self._send = send
        self._status = status
        self._sending = threading.Lock()
        self._told: int | None = None

    def begin(self, *, within: float) -> None:
        """Sends how it stands; takes so many seconds at most."""
        late = threading.Timer(within, self.cancel)
        late.start()
        try:
            self.tell()
        finally:
            late.cancel()

    def tell(self) -> None:
        """Sends how it stands, unless that was sent last; lasts until the client has room for it, or `cancel`."""
        with self._sending:
            now = self._status()
            if now != self._told:
                self._send(health_pb2.HealthCheckResponse(status=now))
                self._told = now

    def cancel(self) -> None:
        """Ends the call as if its client had. For any thread."""
        self._context.cancel()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Ends the call, well."""
        self._send(None)

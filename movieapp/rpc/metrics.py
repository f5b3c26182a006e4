"""What a gRPC server counts and times, method by method, and where Prometheus reads it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.multiprocess import mark_process_dead as _mark_process_dead

from movieapp.rpc.errors import MetricsPortTaken
from movieapp.rpc.method import MethodObserver

_METHOD = ("grpc_service", "grpc_method")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LOOPBACK = "127.0.0.1"


class ServerMetrics:
    """The figures of one server, in its registry. Labels are the names of methods that there are, and status codes.

    Where PROMETHEUS_MULTIPROC_DIR names a folder when the process begins, they are written there for `read_together`
    of another process, and the registry has none.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._started = Counter(
            "grpc_server_started", "Calls that have begun to be answered.", _METHOD, registry=self.registry
        )
        self._handled = Counter(
            "grpc_server_handled", "Calls that have ended.", (*_METHOD, "grpc_code"), registry=self.registry
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "From a thread for the call to its answer; calls with one answer only.",
            _METHOD,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._streams = Gauge(
            "grpc_server_streams",
            "Streams that are open now.",
            _METHOD,
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._instances = Gauge(
            "discovery_known_instances",
            "Instances of a service that are called now.",
            ("service",),
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        ProcessCollector(registry=self.registry)

    def of(self, *, service: str, method: str, is_stream: bool) -> MethodObserver:
        """See Observer.of."""
        names = (service, method)
        handled = _ByCode(lambda code: self._handled.labels(*names, code))
        started = self._started.labels(*names)
        if is_stream:
            return _Stream(started, handled, self._streams.labels(*names))
        return _Call(started, handled, self._seconds.labels(*names))

    def known_instances(self, service: str) -> Callable[[int], None]:
        """Takes how many instances of a service are known, each time that this changes."""
        set_number: Callable[[int], None] = self._instances.labels(service).set
        return set_number


def read_together(folder: Path) -> CollectorRegistry:
    """The figures of all processes whose PROMETHEUS_MULTIPROC_DIR is this folder, added up whenever they are read."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


def forget_process(folder: Path, pid: int) -> None:
    """After the end of one of those processes: what it counted stays, what it had open is gone."""
    _mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


@contextmanager
def metrics_served(registry: CollectorRegistry, *, port: int) -> Iterator[int]:
    """http://127.0.0.1:port/metrics inside the block; yields the port. Raises MetricsPortTaken."""
    try:
        server, thread = start_http_server(port, addr=_LOOPBACK, registry=registry)
    except OSError as error:
        raise MetricsPortTaken(
            f"Nothing can listen on {_LOOPBACK}:{port} for metrics ({error.strerror}): "
            "set GRPC_METRICS_PORT to another port, or to 0 for no metrics."
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Number(Protocol):
    """What goes up by one; a gauge goes down again."""

    def inc(self, amount: float = 1) -> None: ...


class _ByCode(dict[str, _Number]):
    """The counter of each status code, made when the first call ends so."""

    def __init__(self, make: Callable[[str], _Number]) -> None:
        super().__init__(OK=make("OK"))
        self._make = make

    def __missing__(self, code: str) -> _Number:
        made = self[code] = self._make(code)
        return made


class _Call:
    """Counts and times the calls of a method with one answer."""

    __slots__ = ("_handled", "_observe", "on_start")

    def __init__(self, started: _Number, handled: _ByCode, seconds: Histogram) -> None:
        self.on_start = started.inc
        self._handled = handled
        self._observe = seconds.observe

    def on_end(self, code: str, seconds: float) -> None:
        """See MethodObserver.on_end."""
        self._handled[code].inc()
        self._observe(seconds)


class _Stream:
    """Counts the calls of a method with many answers, which last as long as their callers want."""

    __slots__ = ("_handled", "_open", "_started")

    def __init__(self, started: _Number, handled: _ByCode, is_open: Gauge) -> None:
        self._started = started
        self._handled = handled
        self._open = is_open

    def on_start(self) -> None:
        """See MethodObserver.on_start."""
        self._started.inc()
        self._open.inc()

    def on_end(self, code: str, seconds: float) -> None:
        """See MethodObserver.on_end."""
        self._handled[code].inc()
        self._open.dec()

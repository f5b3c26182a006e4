"""One command, several server processes on the same ports: the kernel shares the connections out among them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.conf import settings

from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving.folders import own_folder
from movieapp.catalogue.serving.listening import reserved
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.process import serve
from movieapp.rpc.errors import MetricsPortTaken
from movieapp.rpc.metrics import forget_process, metrics_served, read_together
from workers.processes.manage_process import ManageProcess
from workers.processes.supervising import Supervisor
from workers.shutdown import two_stage_shutdown


def serve_in_processes(options: ServeOptions, *, workers: int) -> int:
    """As `serve`, in so many processes of their own if it is more than one; returns the exit code.

    One that is killed is started again, and the others answer meanwhile; one that is frozen is killed after 10 s, as
    the kernel goes on giving it connections. One that cannot serve ends them all: then this raises ProcessFailed. When
    this process is gone, the others finish the calls in hand and end. Raises CannotServe.
    """
    if workers == 1:
        return serve(options)
    with reserved(options) as ours, _figures() as folder:
        supervisor = Supervisor(start=_Starter(ours, folder).start, count=workers)
        with two_stage_shutdown(first_words="Finishing the calls in hand.", at_once=supervisor.kill) as shutdown:
            supervisor.run(lambda: shutdown.is_requested)
    return 0


class _Starter:
    """Starts worker after worker, and knows which one a new one is in place of."""

    def __init__(self, options: ServeOptions, figures: Path) -> None:
        self._arguments = arguments_of_one(options)
        self._figures = figures
        self._pids: dict[int, int] = {}

    def start(self, number: int) -> ManageProcess:
        if number in self._pids:
            forget_process(self._figures, self._pids.pop(number))
        # The supervisor shows what all have counted.
        environment = {"PROMETHEUS_MULTIPROC_DIR": str(self._figures), "GRPC_METRICS_PORT": "0"}
        process = ManageProcess(self._arguments, number=number, environment=environment, signs_option="--signs")
        self._pids[number] = process.pid
        return process


def arguments_of_one(options: ServeOptions) -> list[str]:
    """The command line of a worker."""
    return [
        "serve_grpc",
        *(f"--service={service}" for service in options.services),
        f"--host={options.host}",
        *([] if options.port is None else [f"--port={options.port}"]),
        f"--supervisor={os.getpid()}",
    ]


@contextmanager
def _figures() -> Iterator[Path]:
    """A folder for what the workers count, shown together where metrics are wanted."""
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        if settings.GRPC_METRICS_PORT:
            try:
                stack.enter_context(metrics_served(read_together(folder), port=settings.GRPC_METRICS_PORT))
            except MetricsPortTaken as error:
                raise CannotServe(str(error)) from error
        yield folder

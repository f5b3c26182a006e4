"""`manage.py serve_grpc`: metadata, ratings and movie details as gRPC services."""

from argparse import SUPPRESS, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.catalogue.errors import CatalogueError
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.services import SERVICES
from movieapp.catalogue.serving.sharing import serve_in_processes
from workers.kafka.arguments import whole_number
from workers.processes.arguments import process_count
from workers.processes.errors import ProcessFailed

_PORTS = ", ".join(f"{service.port} {name}" for name, service in SERVICES.items())


class Command(BaseCommand):
    help = (
        "Answers gRPC calls under the names of movieapp.v1 and under the tutorial's un-packaged ones, with health and "
        "reflection. The first SIGTERM or Ctrl-C takes no more calls and finishes those in hand, for 10 seconds at "
        "most; the second ends at once. Exit code: 0 after a clean stop, 1 when it cannot "
        "begin, or gets no answer from itself any more."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--service",
            action="append",
            choices=list(SERVICES),
            help="A service to offer; several may be named (default: all of them).",
        )
        parser.add_argument(
            "--port",
            type=_port,
            default=None,
            help=f"The port of all of them, 0 for any free one (default: each has its own, {_PORTS}).",
        )
        parser.add_argument(
            "--host",
            type=_host,
            default=settings.GRPC_HOST,
            help="The address to listen on (default: %(default)s).",
        )

        parser.add_argument(
            "--workers",
            type=process_count,
            default=1,
            metavar="N",
            help="Processes of this one command, 1 to 64, that share its ports and are stopped together; 'auto' is one "
            "for each core. One that is killed is started again; one that cannot serve ends all "
            "(default: %(default)s).",
        )
        # How --workers starts its own.
        parser.add_argument("--supervisor", type=whole_number, help=SUPPRESS)
        parser.add_argument("--signs", type=whole_number, help=SUPPRESS)

    def handle(self, *args: Any, service: list[str] | None, port: int | None, host: str, **options: Any) -> None:
        wanted = ServeOptions(
            services=tuple(name for name in SERVICES if service is None or name in service),
            host=host,
            port=port,
            threads=settings.GRPC_THREADS,
            streams=settings.GRPC_MAX_STREAMS,
            supervisor=options["supervisor"],
            signs=options["signs"],
        )
        try:
            code = serve_in_processes(wanted, workers=options["workers"])
        except ProcessFailed as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        except CatalogueError as error:
            raise CommandError(str(error)) from error
        if code:
            raise SystemExit(code)


def _port(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if not 0 <= value < 65_536:
        raise ArgumentTypeError(f"{text!r} is not a port: a whole number from 0 to 65535")
    return value


def _host(text: str) -> str:
    host = text.strip().removeprefix("[").removesuffix("]")
    if not host or any(one.isspace() or one in "/,[]" for one in host):
        raise ArgumentTypeError(f"{text[:80]!r} is not an address or the name of this machine")
    return host

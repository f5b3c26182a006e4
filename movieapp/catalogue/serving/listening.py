"""Where a server listens: its ports, TLS on them, and ports that several processes share."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import grpc
from django.conf import settings

from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.services import SERVICES
from movieapp.rpc.credentials import server_credentials
from movieapp.rpc.errors import UnusableCredentials


def listen(server: grpc.Server, options: ServeOptions) -> Sequence[int]:
    """Binds the ports that the options name, and returns the numbers that they have. Raises CannotServe."""
    credentials = _credentials(options)
    return [_bind(server, options.address(port), credentials) for port in _wanted(options)]


def listen_beside(server: grpc.Server, path: str) -> str:
    """The target of a socket at that path, on which the server listens, too, in plaintext. Raises CannotServe."""
    target = f"unix:{path}"
    try:
        server.add_insecure_port(target)
    except RuntimeError:
        raise CannotServe(
            f"Nothing can listen on the socket {path}, where the server asks itself whether it is healthy: set TMPDIR "
            "to a folder that may be written to, with a path of at most 60 characters."
        ) from None
    return target


@contextmanager
def reserved(options: ServeOptions) -> Iterator[ServeOptions]:
    """The ports are nobody else's inside the block, whichever of our processes are there; yields options naming them.

    A socket that is bound and does not listen gets no connections, and so takes none from the processes. Raises
    CannotServe.
    """
    with ExitStack() as stack:
        ports = [stack.enter_context(_reserving(options, port)).getsockname()[1] for port in _wanted(options)]
        yield options if options.port is None else replace(options, port=ports[0])


def _wanted(options: ServeOptions) -> Sequence[int]:
    return [SERVICES[service].port for service in options.services] if options.port is None else [options.port]


def _credentials(options: ServeOptions) -> grpc.ServerCredentials | None:
    """TLS's, or None for plaintext where nobody else can listen. Raises CannotServe."""
    try:
        credentials = server_credentials()
    except (UnusableCredentials, OSError) as error:
        raise CannotServe(str(error)) from error
    if credentials is None and not (options.is_loopback or settings.GRPC_PLAINTEXT_BEHIND_TLS_PROXY):
        raise CannotServe(
            f"{options.host} is no loopback address, and without TLS everybody on the way reads tokens: set "
            "GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY, or GRPC_PLAINTEXT_BEHIND_TLS_PROXY=true where a proxy in front of "
            "this server speaks TLS with the clients."
        )
    return credentials


def _bind(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise _taken(address)
    return port


def _reserving(options: ServeOptions, port: int) -> socket.socket:
    with ExitStack() as opened:
        try:
            family, *_, address = socket.getaddrinfo(options.host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family) as alone:  # SO_REUSEPORT would let us in beside another server
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(address)
            shared = opened.enter_context(socket.socket(family))
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            shared.bind(address)
        except (OSError, UnicodeError):  # the latter is what a name such as a..b gets
            raise _taken(options.address(port)) from None
        opened.pop_all()
        return shared


def _taken(address: str) -> CannotServe:
    return CannotServe(
        f"Nothing can listen on {address}: another process has the port, or the address is not this machine's. "
        "Name another one with --port (0: any free one) or --host."
    )

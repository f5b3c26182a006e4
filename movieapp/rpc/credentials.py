"""TLS and mutual TLS, of our server and of our clients, as the settings say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog
from django.conf import settings

from movieapp.pem import authority_fault, pair_fault
from movieapp.rpc.errors import UnusableCredentials

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Files:
    """Paths of PEM files, "" for none, and the setting that names each."""

    certificate: str
    key: str
    authority: str
    authority_setting: str

    def stamps(self) -> tuple[tuple[int, int, int], ...]:
        """Others after any of the files was renewed. Raises OSError."""
        found = (Path(path).stat() for path in (self.certificate, self.key, self.authority) if path)
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)

    def contents(self) -> tuple[bytes, bytes, bytes]:
        """Key, certificate and authority, empty for none. Raises UnusableCredentials, which names the setting."""
        if bool(self.certificate) != bool(self.key):
            raise UnusableCredentials("Set GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY both, or neither.")
        if self.certificate:
            _refuse("GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY", pair_fault(self.certificate, self.key))
        if self.authority:
            _refuse(self.authority_setting, authority_fault(self.authority))
        return _content(self.key), _content(self.certificate), _content(self.authority)


def server_credentials() -> grpc.ServerCredentials | None:
    """What our server shows and what it asks for; None where it speaks plaintext.

    Renewed files count from the next connection on; files that cannot be used are logged, and those before them stay.
    Raises UnusableCredentials.
    """
    files = _Files(
        settings.GRPC_TLS_CERTIFICATE, settings.GRPC_TLS_KEY, settings.GRPC_TLS_CLIENT_CA, "GRPC_TLS_CLIENT_CA"
    )
    if files.authority and not (files.certificate or files.key):
        raise UnusableCredentials("GRPC_TLS_CLIENT_CA wants GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY, too.")
    if not (files.certificate or files.key):
        return None
    return grpc.dynamic_ssl_server_credentials(_configuration(files), _renewed(files), bool(files.authority))


def open_channel(target: str, *, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
    """A channel of our own clients: TLS where GRPC_TLS_SERVER_NAME is set, plaintext otherwise.

    The server's certificate needs that name, whatever the address. The files are those of now (see channel_stamp).
    Raises UnusableCredentials.
    """
    files = _client_files()
    if files is None:
        return grpc.insecure_channel(target, options=options)
    key, certificate, roots = files.contents()
    credentials = grpc.ssl_channel_credentials(roots or None, key or None, certificate or None)
    named = ("grpc.default_authority", settings.GRPC_TLS_SERVER_NAME)
    return grpc.secure_channel(target, credentials, options=[*options, named])


def channel_stamp() -> object:
    """Another one than before where `open_channel` would use renewed files. Raises UnusableCredentials and OSError."""
    files = _client_files()
    return None if files is None else files.stamps()


def _client_files() -> _Files | None:
    """Of our own clients; None where they speak plaintext."""
    authority, name = settings.GRPC_TLS_CA, settings.GRPC_TLS_SERVER_NAME
    if not name:
        if authority:
            # One channel has many addresses, none of which a certificate would have to name.
            raise UnusableCredentials(
                "GRPC_TLS_CA wants GRPC_TLS_SERVER_NAME, too: the name that the certificates of all servers have."
            )
        return None
    return _Files(settings.GRPC_TLS_CERTIFICATE, settings.GRPC_TLS_KEY, authority, "GRPC_TLS_CA")


def _configuration(files: _Files) -> "grpc.ServerCertificateConfiguration":
    key, certificate, authority = files.contents()
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authority or None)


def _renewed(files: _Files) -> Callable[[], Any]:
    """Asked by grpc at each new connection: what holds from now on, or None for what did before."""
    last = files.stamps()

    def look() -> Any:
        nonlocal last
        try:
            stamps = files.stamps()
            if stamps == last:
                return None
            last = stamps
            renewed = _configuration(files)
        except (OSError, UnusableCredentials) as error:
            log.error("tls_files_unusable", error=str(error))  # noqa: TRY400
            return None
        log.info("tls_files_renewed")
        return renewed

    return look


def _refuse(named: str, fault: str | None) -> None:
    if fault:
        raise UnusableCredentials(
            f"{named}: the files cannot be used ({fault}). They want PEM, a certificate's key without a password."
        )


def _content(path: str) -> bytes:
    return Path(path).read_bytes() if path else b""

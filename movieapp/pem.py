"""Whether files in PEM can be used for TLS, told before a connection fails of them."""

import ssl
from collections.abc import Callable


def authority_fault(path: str) -> str | None:
    """Why the file holds no certificate of an authority; None where it holds one."""
    return _fault(lambda context: context.load_verify_locations(path))


def pair_fault(certificate: str, key: str) -> str | None:
    """Why the files are not a certificate and its key, without a password; None where they are."""
    # A key with a password would be asked for on the terminal.
    return _fault(lambda context: context.load_cert_chain(certificate, key, password=""))


def _fault(load: Callable[[ssl.SSLContext], None]) -> str | None:
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except ssl.SSLError as error:
        return error.reason or str(error)
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return None

"""What gRPC's own core answers before anything of ours is asked: INTERNAL, and ours cannot change it.

The list is kept here so that a change of it, by a newer gRPC, is noticed.
"""

import re
import socket
import struct

import pytest

from tests.integration.rpc.calls import WITHIN

GET = b"/movieapp.v1.MetadataService/GetMetadata"
ASKED = b"\x0a\x017"
INVALID_ARGUMENT, NOT_FOUND, INTERNAL = 3, 5, 13


def frame(kind, flags, stream, content=b""):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def framed(message, *, compressed=0):
    return bytes([compressed]) + struct.pack(">I", len(message)) + message


def asked(address, message, *headers):
    """The status of a call that sends these bytes and headers, which no client of gRPC would."""
    host, _, port = address.partition(":")
    usual = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", GET),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
    begun = frame(1, 4, 1, b"".join(literal(*header) for header in [*usual, *headers]))
    with socket.create_connection((host, int(port)), timeout=WITHIN) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + begun + frame(0, 1, 1, message))
        received = b""
        # Its headers are literals; the length of the status, and the status.
        while (found := re.search(rb"grpc-status(?:\x01|\x02(?=\d\d))(\d+)", received)) is None:
            more = connection.recv(65_536)
            assert more, received
            received += more
    return int(found[1])


@pytest.fixture
def address(grpc_server):
    return grpc_server("metadata")


@pytest.mark.parametrize(
    ("message", "header"),
    [
        (framed(ASKED, compressed=1), None),
        (framed(b"not gzip", compressed=1), (b"grpc-encoding", b"gzip")),
        (framed(ASKED, compressed=1), (b"grpc-encoding", b"snappy")),
        (framed(ASKED), (b"grpc-timeout", b"soon")),
        (framed(ASKED), (b"x-bin", b"!!!")),
    ],
    ids=["compressed by nothing", "no gzip", "an unknown encoding", "no time-out", "no base64"],
)
def test_what_the_core_calls_an_internal_error(address, message, header):
    assert asked(address, message, *([header] if header else [])) == INTERNAL
    assert asked(address, framed(ASKED)) == NOT_FOUND


def test_a_header_that_is_not_utf_8_is_no_error_and_not_logged(address, capfd, caplog):
    assert asked(address, framed(ASKED), (b"authorization", b"Bearer secret\xff")) == NOT_FOUND
    assert asked(address, framed(b"\x07"), (b"x-y", b"secret\xff")) == INVALID_ARGUMENT
    assert "secret" not in capfd.readouterr().err
    assert "secret" not in caplog.text

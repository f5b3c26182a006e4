"""Bytes that are no message are the caller's fault, whatever the method: never INTERNAL, never UNKNOWN."""

from itertools import product

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from movieapp.catalogue.serving.services import SERVICES
from tests.integration.rpc.calls import WITHIN

# A field of length 127 with nothing behind it; one whose wire type there is not; a text that is not UTF-8.
BAD = [b"\x0a\x7f", b"\x07", b"\xff" * 20, b"\x0a\x02\xff\xfe", b"\x0a" + b"\x80" * 10]
STANDARD = [
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
]
OURS = [offer.descriptor for service in SERVICES.values() for offer in service.offers]
IMPLEMENTED = [
    f"/{service.full_name}/{method.name}"
    for service in [*OURS, *STANDARD]
    for method in service.methods
    if method.name != "List"
]


def outcome(channel, method, messages):
    """How a call ends that sends these messages as they are."""
    call = channel.stream_stream(method, request_serializer=bytes, response_deserializer=bytes)
    try:
        for _ in call(iter(messages), timeout=WITHIN):
            pass
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


@pytest.fixture
def channel(grpc_channel):
    return grpc_channel


def test_bytes_that_are_no_message(channel):
    for method, message in product(IMPLEMENTED, BAD[:3]):
        code, words = outcome(channel, method, [message])
        assert code == "INVALID_ARGUMENT", (method, message, words)
        assert words.startswith("the bytes are not a message")


def test_text_that_is_not_utf_8_and_a_number_without_end(channel):
    for message in BAD[3:]:
        assert outcome(channel, "/MetadataService/GetMetadata", [message])[0] == "INVALID_ARGUMENT"
        assert outcome(channel, "/movieapp.v1.MetadataService/GetMetadata", [message])[0] == "INVALID_ARGUMENT"


def test_a_call_without_a_message(channel):
    code, words = outcome(channel, "/movieapp.v1.MetadataService/GetMetadata", [])
    assert (code, words) == ("INVALID_ARGUMENT", "the call has no message")


def test_a_method_that_there_is_not(channel):
    for method in ("/movieapp.v1.MetadataService/Nothing", "/nothing.Service/Get", "/x"):
        assert outcome(channel, method, [b""])[0] == "UNIMPLEMENTED"


def test_fields_that_nobody_knows_are_left_alone(channel):
    unknown = b"\x0a\x017" + b"\xfa\x3e\x03abc"
    assert outcome(channel, "/movieapp.v1.MetadataService/GetMetadata", [unknown])[0] == "NOT_FOUND"

"""How the tests call a gRPC server, and what they see of a refusal."""

from collections.abc import Callable
from typing import Any

import grpc

WITHIN = 10.0
"""Seconds; no call in a test may take longer."""


def refusal(call: Callable[..., Any], request: Any, *, timeout: float = WITHIN) -> tuple[str, str]:
    """Status and words of a call that is refused; AssertionError for one that is answered."""
    try:
        answer = call(request, timeout=timeout)
    except grpc.RpcError as error:
        return error.code().name, error.details() or ""
    raise AssertionError(f"answered: {answer}")


def raw(channel: grpc.Channel, method: str) -> Callable[..., Any]:
    """A unary method that is sent bytes as they are, and whose answer is bytes."""
    return channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)

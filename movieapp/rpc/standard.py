"""gRPC's own services, health and reflection, behind the same pipeline as ours."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from movieapp.rpc.handlers import handlers_of
from movieapp.rpc.health import HealthServicer
from movieapp.rpc.method import Pipeline

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
_REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]


def health_handlers(servicer: HealthServicer, *, pipeline: Pipeline) -> "grpc.GenericRpcHandler[Any, Any]":
    """The standard health service."""
    return handlers_of(servicer, service=_HEALTH, rules=_reads(_HEALTH), pipeline=pipeline)


def reflection_handlers(services: Iterable[str], *, pipeline: Pipeline) -> "grpc.GenericRpcHandler[Any, Any]":
    """The reflection service, which tells of these services, of health and of itself."""
    names = [*services, health.SERVICE_NAME, reflection.SERVICE_NAME]
    servicer = reflection.ReflectionServicer(names)
    return handlers_of(servicer, service=_REFLECTION, rules=_reads(_REFLECTION), pipeline=pipeline)


def _reads(service: ServiceDescriptor) -> dict[str, Any]:
    return {method.name: "read" for method in service.methods}

"""Every error of the REST API as RFC 9457 problem+json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as RestPermissionDenied
from rest_framework.response import Response
from rest_framework.views import set_rollback

from metadata.errors import InvalidMovie
from movieapp.anticipated import answer_to, is_trouble_of_database, words_for
from ratings.errors import InvalidRating

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER_SECONDS = "5"

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request; `field` is its name in the JSON contract."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem without its `instance`, which is the request's path."""

    status: HTTPStatus
    detail: str
    errors: Sequence[FieldError] = ()

    def as_json(self, *, instance: str) -> dict[str, object]:
        """The problem's members, `errors` only where there are any; the type is about:blank, as the status says it."""
        members: dict[str, object] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            members["errors"] = [{"field": error.field, "reason": error.reason} for error in self.errors]
        return members


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Django REST framework's hook: the answer to an anticipated error; None lets the others end as a plain 500."""
    problem = problem_of(error)
    if problem is None:
        return None
    set_rollback()
    response = Response(
        problem.as_json(instance=context["request"].path), status=problem.status, content_type=MEDIA_TYPE
    )
    for name, value in _headers(error, problem).items():
        response[name] = value
    if is_trouble_of_database(error):
        logger.error("database_unavailable", error=type(error).__name__)
    return response


def problem_of(error: Exception) -> Problem | None:
    """The problem that an anticipated error is, None for any other error."""
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        error = RestPermissionDenied()
    if isinstance(error, ValidationError):
        errors = field_errors(error.detail)
        return Problem(HTTPStatus.BAD_REQUEST, "; ".join(str(one).rstrip(".") for one in errors), errors)
    if isinstance(error, APIException):
        return Problem(HTTPStatus(error.status_code), str(error.detail))
    if isinstance(error, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes")
    answer = answer_to(error)
    return None if answer is None else _domain_problem(error, answer.http)


def field_errors(detail: object, field: str = "") -> list[FieldError]:
    """A serializer's nested errors, flattened: a field in a list or an object is told by its path, `genres.0`."""
    if isinstance(detail, Mapping):
        named = ((_joined(field, str(key)), value) for key, value in detail.items())
        return [error for name, value in named for error in field_errors(value, name)]
    if isinstance(detail, list | tuple):
        return [error for value in detail for error in field_errors(value, field)]
    return [FieldError(field, str(detail))]


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem as an answer from outside Django REST framework."""
    body = json.dumps(problem.as_json(instance=request.path))
    return HttpResponse(body, status=problem.status, content_type=MEDIA_TYPE)


def _domain_problem(error: Exception, status: HTTPStatus) -> Problem:
    if isinstance(error, InvalidMovie | InvalidRating):
        return Problem(status, str(error), [FieldError(error.field, error.reason)])
    return Problem(status, words_for(error))


def _headers(error: Exception, problem: Problem) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    elif wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _joined(field: str, key: str) -> str:
    if key == "non_field_errors":
        return field
    return f"{field}.{key}" if field else key

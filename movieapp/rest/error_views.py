"""The answers to what no view handles: problem+json under /api/, Django's plain pages elsewhere."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from movieapp.rest.problems import Problem, problem_response

API = "/api/"


@csrf_exempt
def api_not_found(request: HttpRequest) -> HttpResponse:
    """404 for an address under /api/ that there is not, naming the one that was probably meant."""
    detail = "there is nothing at this address; an id with a slash in it cannot be part of one"
    if not request.path.endswith("/") and _exists(f"{request.path}/"):
        detail = f"there is nothing at this address; did you mean {request.path}/ ?"
    return problem_response(request, Problem(HTTPStatus.NOT_FOUND, detail))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, for what Django refuses before a view sees it: a Host that is not allowed, a malformed request."""
    if not request.path.startswith(API):
        return defaults.bad_request(request, exception)
    detail = "the request is malformed, or its Host is not one of DJANGO_ALLOWED_HOSTS"
    return problem_response(request, Problem(HTTPStatus.BAD_REQUEST, detail))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if not request.path.startswith(API):
        return defaults.permission_denied(request, exception)
    return problem_response(request, Problem(HTTPStatus.FORBIDDEN, "this is not allowed"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if not request.path.startswith(API):
        return defaults.page_not_found(request, exception)
    return api_not_found(request)


def length_required(request: HttpRequest) -> HttpResponse:
    """411, for a body without a Content-Length."""
    detail = "the body's length is not said: send it with a Content-Length, not with Transfer-Encoding"
    if not request.path.startswith(API):
        return HttpResponse(f"{detail}\n", status=HTTPStatus.LENGTH_REQUIRED, content_type="text/plain")
    return problem_response(request, Problem(HTTPStatus.LENGTH_REQUIRED, detail))


def server_error(request: HttpRequest) -> HttpResponse:
    """500, without a word about the reason, which is in the log."""
    if not request.path.startswith(API):
        return defaults.server_error(request)
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; the log has its reason")
    return problem_response(request, problem)


def _exists(path: str) -> bool:
    try:
        return resolve(path).func is not api_not_found
    except Resolver404:
        return False

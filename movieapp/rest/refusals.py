"""Refuses, before any view, requests that none could answer: a body of unsaid length, a NUL that no table can hold."""

from collections.abc import Callable

from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from movieapp.rest.error_views import API, length_required

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_NUL = "\x00"


class RefusalMiddleware:
    """411 for a chunked body, 400 for a NUL character in what sessions and admin pages look up.

    WSGI passes on only as many bytes as Content-Length says: without one a chunked body would read as empty. REST's
    own paths and parameters are left to their views, which name the one that is wrong.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The refusal, or the next middleware's answer."""
        if request.method not in _WITHOUT_BODY and request.META.get("HTTP_TRANSFER_ENCODING"):
            return length_required(request)
        if _has_nul(request):
            raise BadRequest("a NUL character in the request")
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        """Looks at the rows that an admin's list action names; other fields are left to their forms, which say more."""
        match = request.resolver_match
        if match is not None and match.app_name == "admin" and request.method == "POST":
            ticked = request.POST.getlist("_selected_action")
            if any(_NUL in key for key in ticked):
                raise BadRequest("a NUL character in the request")


def _has_nul(request: HttpRequest) -> bool:
    if any(_NUL in value for value in request.COOKIES.values()):
        return True
    if request.path_info.startswith(API):
        return False
    # The search box has a form, which tells people by itself.
    looked_up = (name for name in request.GET if name != SEARCH_VAR)
    parameters = (text for name in looked_up for text in (name, *request.GET.getlist(name)))
    return _NUL in request.path_info or any(_NUL in text for text in parameters)

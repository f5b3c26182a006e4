"""The start page, and movie details over HTTP."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from movieapp.catalogue.selectors import movie_details
from movieapp.catalogue.serializers import MovieDetailsSerializer


class MovieDetailsView(APIView):
    """A movie with what its raters say."""

    permission_classes = [AllowAny]

    def get(self, request: Request, movie_id: str) -> Response:
        """The details, or 404 when there is no such movie; `rating` is null when nobody has rated it.

        Where parts come from services and one cannot be had, that one is null and named in `unavailable`.
        """
        return Response(MovieDetailsSerializer(movie_details(movie_id=movie_id)).data)


@require_safe
def start_page(request: HttpRequest) -> HttpResponse:
    """Says what is here. Needs no database."""
    return render(request, "catalogue/start_page.html")

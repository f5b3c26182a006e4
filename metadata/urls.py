"""The addresses of movies. An id with a slash in it has none: gRPC and the admin reach it."""

from django.urls import path

from metadata.views import MovieView

urlpatterns = [
    path("movies/<str:movie_id>/", MovieView.as_view(), name="movie"),
]

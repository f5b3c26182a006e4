"""The addresses of movies. An id with a slash in it has none: the admin reaches it."""

from django.urls import path

from metadata.views import MovieView

urlpatterns = [
    path("movies/<str:movie_id>/", MovieView.as_view(), name="movie"),
]

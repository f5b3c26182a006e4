"""The addresses of what needs metadata and ratings together."""

from django.urls import path

from movieapp.catalogue.views import MovieDetailsView

urlpatterns = [
    path("movies/<str:movie_id>/details/", MovieDetailsView.as_view(), name="movie-details"),
]

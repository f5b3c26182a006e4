"""Reads of movies."""

from metadata.drafts import checked_movie_id
from metadata.errors import MovieNotFound
from metadata.models import Movie


def movie_get(*, movie_id: str) -> Movie:
    """The movie. Raises MovieNotFound, and InvalidMovie for what cannot be an id."""
    movie = Movie.objects.filter(pk=checked_movie_id(movie_id)).first()
    if movie is None:
        raise MovieNotFound(movie_id)
    return movie

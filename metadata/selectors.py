"""Reads of movies."""

from collections.abc import Sequence

from metadata.batches import Together, parts_of
from metadata.drafts import checked_movie_id
from metadata.errors import MovieNotFound
from metadata.models import Movie


def movie_get(*, movie_id: str) -> Movie:
    """The movie. Raises MovieNotFound, and InvalidMovie for what cannot be an id."""
    movie = Movie.objects.filter(pk=checked_movie_id(movie_id)).first()
    if movie is None:
        raise MovieNotFound(movie_id)
    return movie


def movies_get(*, movie_ids: Sequence[str]) -> dict[str, Movie]:
    """The movies by id, one query for each 50; ids without a movie are left out.

    They are ids that `checked_movie_id` took. Raises MoviesTooLarge, before all of them are read.
    """
    found: dict[str, Movie] = {}
    together = Together()
    for part in parts_of(movie_ids):
        movies = Movie.objects.in_bulk(list(part))
        together.add(movies.values())
        found |= movies
    return found

"""Reads that need metadata and ratings together."""

from collections.abc import Sequence
from dataclasses import dataclass

from metadata.models import Movie
from metadata.selectors import movie_get
from ratings.selectors import Aggregate, aggregate_get, aggregates_get

MOVIE_RECORD_TYPE = "movie"
"""The record type under which movies are rated."""


@dataclass(frozen=True, slots=True)
class MovieDetails:
    """A movie and what its raters say; no rating is None."""

    metadata: Movie
    rating: Aggregate | None


def movie_details(*, movie_id: str) -> MovieDetails:
    """The movie's details. Raises MovieNotFound and InvalidMovie; a movie without ratings is no error."""
    movie = movie_get(movie_id=movie_id)
    return MovieDetails(metadata=movie, rating=aggregate_get(record_type=MOVIE_RECORD_TYPE, record_id=movie.id))


def movie_ratings(*, movie_ids: Sequence[str]) -> dict[str, Aggregate]:
    """The aggregates of the movies by id, in one query; movies without a rating are left out."""
    return aggregates_get(record_type=MOVIE_RECORD_TYPE, record_ids=movie_ids)

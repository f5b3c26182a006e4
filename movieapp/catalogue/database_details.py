"""Movie details from this process's own database: metadata and ratings in one query, of many movies one for each 50."""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection

from metadata.batches import Together, parts_of
from metadata.drafts import checked_movie_id
from metadata.errors import MovieNotFound, MoviesTooLarge
from metadata.models import Movie
from movieapp.catalogue.details import MOVIE_RECORD_TYPE, ManyDetails, MovieDetails, MovieRating
from movieapp.rpc.errors import TooLarge
from ratings.selectors import Aggregate

# By look-ups, whatever the statistics say, as reads of aggregates are.
_GET = """
SELECT movie.id, movie.title, movie.description, movie.director, movie.year, movie.genres,
       aggregate.count, aggregate.total, aggregate.version, aggregate.changed_at
FROM metadata_movie AS movie
LEFT JOIN LATERAL (
    SELECT id FROM ratings_record WHERE type = %(record_type)s AND external_id = movie.id LIMIT 1
) AS record ON true
LEFT JOIN LATERAL (
    SELECT count, total, version, changed_at FROM ratings_recordaggregate WHERE record_id = record.id LIMIT 1
) AS aggregate ON true
WHERE movie.id = ANY(%(movie_ids)s)
"""
_MOVIE_COLUMNS = ("id", "title", "description", "director", "year", "genres")


class DatabaseDetails:
    """See DetailsSource. The deadline is the connection's own: a statement has its time-out."""

    def one(self, movie_id: str, *, within: float) -> MovieDetails:
        """See DetailsSource.one."""
        checked = checked_movie_id(movie_id)
        found = _look_up([checked])
        if not found:
            raise MovieNotFound(checked)
        return found[checked]

    def many(self, movie_ids: Sequence[str], *, within: float) -> ManyDetails:
        """See DetailsSource.many."""
        found: dict[str, MovieDetails] = {}
        together = Together()
        for part in parts_of(movie_ids):
            movies = _look_up(part)
            try:
                together.add(details.metadata for details in movies.values() if details.metadata)
            except MoviesTooLarge as error:
                raise TooLarge(str(error)) from None
            found |= movies
        return ManyDetails(
            movies=[found[movie_id] for movie_id in movie_ids if movie_id in found],
            missing=[movie_id for movie_id in movie_ids if movie_id not in found],
        )


def _look_up(movie_ids: Sequence[str]) -> dict[str, MovieDetails]:
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    wanted = {"record_type": MOVIE_RECORD_TYPE, "movie_ids": list(movie_ids)}
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        rows = cursor.execute(_GET.encode(), wanted, prepare=True, binary=True).fetchall()
    return {row[0]: _details(row) for row in rows}


def _details(row: Sequence[Any]) -> MovieDetails:
    columns, rated = row[: len(_MOVIE_COLUMNS)], row[len(_MOVIE_COLUMNS) :]
    movie = Movie.from_db("default", _MOVIE_COLUMNS, columns)
    if not rated[0]:
        return MovieDetails(movie, None)
    aggregate = Aggregate(MOVIE_RECORD_TYPE, movie.id, *rated)
    return MovieDetails(movie, MovieRating(aggregate.average, aggregate.count, aggregate.version))

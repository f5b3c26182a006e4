"""Reads that need metadata and ratings together."""

import atexit
import os
import threading
from collections.abc import Sequence
from functools import cache

from django.conf import settings

from movieapp.catalogue.database_details import DatabaseDetails
from movieapp.catalogue.details import MOVIE_RECORD_TYPE, NO_DEADLINE, DetailsSource, ManyDetails, MovieDetails
from ratings.selectors import Aggregate, aggregates_get

_DATABASE = DatabaseDetails()
_making = threading.Lock()


def movie_details(*, movie_id: str, within: float = NO_DEADLINE) -> MovieDetails:
    """The movie's details, within that many seconds; a movie without ratings is no error.

    Raises MovieNotFound, InvalidMovie and, where parts come from services, PartUnavailable, NoInstance and Expired.
    """
    return details_source().one(movie_id, within=within)


def movies_details(*, movie_ids: Sequence[str], within: float = NO_DEADLINE) -> ManyDetails:
    """The details of many movies, whose ids `checked_movie_id` took. Raises what DetailsSource.many does."""
    return details_source().many(movie_ids, within=within)


def movie_ratings(*, movie_ids: Sequence[str]) -> dict[str, Aggregate]:
    """The aggregates of the movies by id, in one query; movies without a rating are left out."""
    return aggregates_get(record_type=MOVIE_RECORD_TYPE, record_ids=movie_ids)


def details_source() -> DetailsSource:
    """The source that MOVIE_DETAILS_SOURCE names: one for the whole process, made when it is first asked for.

    Raises UnusableSetting or UnusableCredentials where a file that the settings name cannot be used.
    """
    with _making:
        # A forked process has none of the threads of its parent.
        return _grpc_details(os.getpid()) if settings.MOVIE_DETAILS_SOURCE == "grpc" else _DATABASE


@cache
def _grpc_details(pid: int) -> DetailsSource:
    # Only who asks services needs gRPC and a registry.
    from movieapp.catalogue.clients import make_details_clients
    from movieapp.catalogue.grpc_details import GrpcDetails

    longest = settings.MOVIE_DETAILS_TIMEOUT_MS / 1000
    clients = make_details_clients(longest=longest)
    atexit.register(clients.close)
    return GrpcDetails(clients, partial=settings.MOVIE_DETAILS_PARTIAL, longest=longest)

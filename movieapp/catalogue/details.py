"""Movie details: what they are made of, and what any source of them promises."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from metadata.models import Movie

MOVIE_RECORD_TYPE = "movie"
"""The record type under which movies are rated."""

NO_DEADLINE = math.inf


class DetailsPart(Enum):
    """A part of the details that can come from a service of its own."""

    METADATA = "metadata"
    RATING = "rating"


@dataclass(frozen=True, slots=True)
class MovieRating:
    """What a movie's raters say: the mean, 0 to 10, of `count` ratings, 1 or more; `version` grows with each change."""

    average: float
    count: int
    version: int


@dataclass(frozen=True, slots=True)
class MovieDetails:
    """A movie and what its raters say; no rating is None, unless it is among what is `unavailable`.

    Where metadata is `unavailable` it is None, and whether there is such a movie is not known.
    """

    metadata: Movie | None
    rating: MovieRating | None
    unavailable: Sequence[DetailsPart] = ()


@dataclass(frozen=True, slots=True)
class ManyDetails:
    """The details of those movies that there are, in the order asked for, and the ids of the others.

    Metadata is always there; what is `unavailable` is so for all of them.
    """

    movies: Sequence[MovieDetails]
    missing: Sequence[str]
    unavailable: Sequence[DetailsPart] = ()


class DetailsSource(Protocol):
    """Where details come from. `within` is in seconds, infinity for no deadline. Several threads may ask at once."""

    def one(self, movie_id: str, *, within: float) -> MovieDetails:
        """The movie's details; without ratings is no error.

        Raises MovieNotFound, InvalidMovie and, where parts come from services, PartUnavailable, NoInstance and Expired.
        """

    def many(self, movie_ids: Sequence[str], *, within: float) -> ManyDetails:
        """The details of all of them. The ids are checked ones.

        Raises TooLarge and, where parts come from services, PartUnavailable, NoInstance and Expired.
        """

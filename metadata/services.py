"""Writes of movies: one by one, and in bulk; every write is idempotent."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction

from metadata.drafts import MovieDraft, checked_movie_id
from metadata.errors import MovieNotFound
from metadata.models import Movie

_COLUMNS = ("title", "description", "director", "year", "genres")


@dataclass(frozen=True, slots=True)
class MoviesWritten:
    """How many movies a write made, changed, and found as they should be; `repeated` drafts went into a later one."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0

    def __add__(self, other: "MoviesWritten") -> "MoviesWritten":
        return MoviesWritten(
            created=self.created + other.created,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            repeated=self.repeated + other.repeated,
        )


def movie_put(draft: MovieDraft) -> MoviesWritten:
    """Makes the movie or changes the fields that the draft carries. Idempotent; committed unless in a transaction."""
    return movies_put([draft])


def movies_put(drafts: Iterable[MovieDraft]) -> MoviesWritten:
    """Writes the drafts in one transaction, as if one after the other: of several with one id the last one counts.

    A batch is held in memory and sent as one statement for each set of carried fields: some thousands is a good size.
    """
    by_id: dict[str, MovieDraft] = {}
    repeated = 0
    for draft in drafts:
        earlier = by_id.get(draft.id)
        repeated += earlier is not None
        by_id[draft.id] = earlier.followed_by(draft) if earlier else draft
    alike: dict[frozenset[str], list[MovieDraft]] = defaultdict(list)
    # Sorted, so that two imports at once take their row locks in one order. Across the groups below that holds only
    # within each group: files whose rows carry different fields are imported by one process at a time.
    for movie_id in sorted(by_id):
        alike[by_id[movie_id].carried].append(by_id[movie_id])
    written = MoviesWritten(repeated=repeated)
    with transaction.atomic():
        for carried in sorted(alike, key=sorted):
            written += _put_alike(alike[carried], carried)
    return written


def movie_delete(*, movie_id: str) -> None:
    """Removes the movie and leaves its ratings: records stand by themselves. Raises MovieNotFound, InvalidMovie."""
    deleted, _ = Movie.objects.filter(pk=checked_movie_id(movie_id)).delete()
    if not deleted:
        raise MovieNotFound(movie_id)


def _put_alike(drafts: list[MovieDraft], carried: frozenset[str]) -> MoviesWritten:
    """One statement for drafts of different ids that carry the same fields."""
    rows = [
        {
            "id": draft.id,
            "title": draft.title,
            "description": draft.description,
            "director": draft.director,
            "year": draft.year,
            "genres": draft.genres,
        }
        for draft in drafts
    ]
    with connection.cursor() as cursor:
        cursor.execute(_put_statement(carried), [json.dumps(rows)])
        # Not all were touched: what stands there already is left alone, so that a second run writes nothing.
        created = [row[0] for row in cursor.fetchall()]
    return MoviesWritten(
        created=sum(created), changed=len(created) - sum(created), unchanged=len(drafts) - len(created)
    )


def _put_statement(carried: frozenset[str]) -> str:
    columns = [column for column in _COLUMNS if column in carried]
    assignments = ", ".join(f"{column} = excluded.{column}" for column in columns)
    standing = ", ".join(f"movie.{column}" for column in columns)
    wanted = ", ".join(f"excluded.{column}" for column in columns)
    # A row that this statement inserted has no xmax; one that it updated was locked by it and has.
    return f"""
        INSERT INTO metadata_movie AS movie (id, title, description, director, year, genres)
        SELECT id, title, description, director, year, genres
        FROM json_to_recordset(%s::json)
             AS draft (id text, title text, description text, director text, year smallint, genres varchar[])
        ON CONFLICT (id) DO UPDATE SET {assignments}
        WHERE ({standing}) IS DISTINCT FROM ({wanted})
        RETURNING xmax = 0
    """

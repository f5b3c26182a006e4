"""Bounds what one request reads: many movies with long descriptions must not fill the memory only to be refused."""

from collections.abc import Iterable, Iterator, Sequence

from metadata.errors import MoviesTooLarge
from metadata.models import Movie

READ_AT_ONCE = 50
"""Movies; of the longest descriptions some 4 MB."""

MOST_TOGETHER = 4 * 1024 * 1024
"""Bytes of text; as much as an answer over gRPC may have."""


def parts_of(movie_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in their order, so many at a time as are read at once."""
    return (movie_ids[place : place + READ_AT_ONCE] for place in range(0, len(movie_ids), READ_AT_ONCE))


class Together:
    """How large the movies of one answer are by now."""

    def __init__(self) -> None:
        self._size = 0

    def add(self, movies: Iterable[Movie]) -> None:
        """Counts some more. Raises MoviesTooLarge once all of them are more than an answer may have."""
        self._size += sum(map(_size_of, movies))
        if self._size > MOST_TOGETHER:
            raise MoviesTooLarge(f"the answer has more than {MOST_TOGETHER} bytes: ask for fewer at a time")


def _size_of(movie: Movie) -> int:
    """Never more than its message has: who is refused here would be refused there."""
    texts = (movie.id, movie.title, movie.description, movie.director, *movie.genres)
    return sum(len(text.encode()) for text in texts)

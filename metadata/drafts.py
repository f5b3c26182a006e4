"""The one place that decides what is a valid movie, and which of its fields a source speaks about."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from metadata.errors import InvalidMovie
from metadata.models import (
    FIRST_YEAR,
    LAST_YEAR,
    MAX_DESCRIPTION_LENGTH,
    MAX_GENRE_LENGTH,
    MAX_GENRES,
    MAX_ID_LENGTH,
    MAX_NAME_LENGTH,
)

# Unicode's categories of control characters and of line and paragraph separators.
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})

ALL_FIELDS = frozenset({"title", "description", "director", "year", "genres"})


@dataclass(frozen=True, slots=True)
class MovieDraft:
    """A movie to be written: only the `carried` fields change a movie that exists; a new one gets them all.

    Fields that are not carried are empty here. Made by `movie_draft`, which checks every field.
    """

    id: str
    title: str
    description: str = ""
    director: str = ""
    year: int | None = None
    genres: tuple[str, ...] = ()
    carried: frozenset[str] = ALL_FIELDS

    def followed_by(self, later: "MovieDraft") -> "MovieDraft":
        """The one draft that does what this and then `later`, of the same id, would do."""
        if later.carried >= self.carried:
            return later
        changes = {field: getattr(later, field) for field in later.carried}
        return replace(self, **changes, carried=self.carried | later.carried)


def movie_draft(
    *,
    movie_id: object,
    title: object,
    description: object = "",
    director: object = "",
    year: object = None,
    genres: object = (),
    carried: frozenset[str] = ALL_FIELDS,
) -> MovieDraft:
    """A draft of values that are checked here. Raises InvalidMovie for the first that is not acceptable."""
    return MovieDraft(
        id=checked_movie_id(movie_id),
        title=_text(title, "title", MAX_NAME_LENGTH, empty_allowed=False),
        description=_text(description, "description", MAX_DESCRIPTION_LENGTH),
        director=_text(director, "director", MAX_NAME_LENGTH),
        year=None if year is None else _checked_year(year),
        genres=_checked_genres(genres),
        carried=carried,
    )


def checked_movie_id(movie_id: object) -> str:
    """The id's text, as it is; a whole number is taken as its text. Raises InvalidMovie.

    It has 1 to 128 characters, one of them visible and none a control character, and is neither "." nor "..".
    """
    if isinstance(movie_id, int) and not isinstance(movie_id, bool):
        movie_id = str(movie_id)
    text = _text(movie_id, "id", MAX_ID_LENGTH, empty_allowed=False, stripped=False)
    if not (text.isascii() and text.isalnum()):  # nearly all are; imports check millions
        _refuse_unreachable(text)
    return text


def _refuse_unreachable(movie_id: str) -> None:
    """Refuses an id that people cannot see or that clients cannot put into an address."""
    if movie_id in (".", ".."):
        raise InvalidMovie("id", f'it is "{movie_id}", which clients take out of an address')
    if any(unicodedata.category(one) in _CONTROLS for one in movie_id):
        raise InvalidMovie("id", "it has a control character or a line break")
    if not any(one.isprintable() and one != " " for one in movie_id):
        raise InvalidMovie("id", "it is blank")


def _checked_year(year: object) -> int:
    if not isinstance(year, int) or isinstance(year, bool) or not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidMovie("year", f"it is not a whole number from {FIRST_YEAR} to {LAST_YEAR}")
    return year


def _checked_genres(genres: object) -> tuple[str, ...]:
    if isinstance(genres, str) or not isinstance(genres, Iterable):
        raise InvalidMovie("genres", "it is not a list of texts")
    checked = tuple(_text(genre, "genres", MAX_GENRE_LENGTH, empty_allowed=False) for genre in genres)
    if len(checked) > MAX_GENRES:
        raise InvalidMovie("genres", f"it has {len(checked)} entries: at most {MAX_GENRES}")
    return checked


def _text(value: object, field: str, longest: int, *, empty_allowed: bool = True, stripped: bool = True) -> str:
    if not isinstance(value, str):
        raise InvalidMovie(field, "it is missing" if value is None else "it is not a text")
    if stripped:
        value = value.strip()
    if not value and not empty_allowed:
        raise InvalidMovie(field, "it is empty")
    if len(value) > longest:
        raise InvalidMovie(field, f"it has {len(value)} characters: at most {longest}")
    if "\x00" in value:
        raise InvalidMovie(field, "it has a NUL character, which Postgres cannot store")
    if not value.isascii():
        _refuse_surrogates(value, field)
    return value


def _refuse_surrogates(value: str, field: str) -> None:
    """Half a surrogate pair stands for a byte that was not UTF-8, or for a broken escape."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidMovie(field, "it is not valid Unicode (UTF-8)") from None

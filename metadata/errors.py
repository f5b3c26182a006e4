"""What can be wrong with a movie, named for the fact."""


class MetadataError(Exception):
    """The root of everything that the metadata app raises on purpose."""


class InvalidMovie(MetadataError):
    """A movie or its id is not acceptable.

    `field` is the name in the JSON contract (id, title, year, …) or "" where it is the whole movie; `reason` says
    what is wrong with it and what would be right.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class MovieNotFound(MetadataError):
    """There is no movie of this id."""

    def __init__(self, movie_id: str) -> None:
        super().__init__(f'there is no movie with the id "{movie_id}"')


class MoviesTooLarge(MetadataError):
    """The movies asked for are larger together than an answer may be."""

"""What stands in the measured database, and what is asked of it: known to those who fill it and to those who call."""

from random import Random

RECORD_TYPE = "movie"
RECORDS = 10_000
USERS = 2_000
RATINGS_EACH = 3
"""Of each record, before anything is measured."""


def some_record(random: Random) -> str:
    """The id of a movie that is there and rated."""
    return str(random.randrange(RECORDS))


def some_user(random: Random) -> str:
    """One of those whose ratings are put; they had none before."""
    return f"u{random.randrange(USERS)}"


def some_value(random: Random) -> float:
    """A whole rating."""
    return float(random.randrange(11))

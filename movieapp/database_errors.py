"""A database that is away or not migrated, told by commands in a sentence instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import InterfaceError, OperationalError, ProgrammingError


@contextmanager
def database_errors_told() -> Iterator[None]:
    """Raises CommandError for a database that does not answer, or that lacks a table of ours; others pass."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise CommandError(
            f"The database failed us: {_first_line(error)}. Check DATABASE_URL and the server."
        ) from error
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != "42P01":
            raise
        raise CommandError(f"A table is missing: run `manage.py migrate` ({_first_line(error)}).") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

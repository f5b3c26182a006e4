"""How much of the numbers for records and raters is used up, before there are none left."""

from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 (Django's name)
from django.db import connection

_MOST = 2**31 - 1
_WARN_AT = 0.8

_TABLES = {"ratings_record_id_seq": "ratings_record", "ratings_rater_id_seq": "ratings_rater"}

# By the sequences and not by the highest id: a number that was drawn and not used is gone too.
_USED = """
SELECT sequencename, last_value FROM pg_sequences
WHERE schemaname = current_schema() AND sequencename = ANY(%s) ORDER BY sequencename
"""


@dataclass(frozen=True, slots=True)
class IdSpace:
    """How many of a table's 2^31-1 numbers are used up."""

    table: str
    used: int

    @property
    def is_short(self) -> bool:
        """Whether four fifths are used up."""
        return self.used >= _WARN_AT * _MOST

    def __str__(self) -> str:
        return f"{self.used / _MOST:.0%} of the numbers for {self.table} are used up ({self.used:,} of {_MOST:,})"


def id_spaces() -> list[IdSpace]:
    """Records' and raters' numbers; a table that does not exist yet is left out."""
    with connection.cursor() as cursor:
        cursor.execute(_USED, [list(_TABLES)])
        return [IdSpace(_TABLES[name], used or 0) for name, used in cursor.fetchall()]


@register(Tags.database)
def numbers_are_left(databases: Any = None, **_: object) -> list[CheckMessage]:
    """Warns in `migrate` and `check --database default` when a table's numbers run short."""
    if "default" not in (databases or ()):
        return []
    hint = "Widen the column, and the key of ratings with it (docs/decisions/0004-rating-key.md), before they run out."
    return [Warning(str(space), hint=hint, id="ratings.W001") for space in id_spaces() if space.is_short]

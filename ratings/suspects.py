"""Which of many writes the database may refuse: each is tried by itself on the server, and undone at once.

One statement writes them all, so that one refused row refuses all and most errors do not say which it was. A block that
catches the error of one row tells hundreds of them apart in one round trip, for some 30 µs of the server's time and one
of its transaction ids each, whatever it is that refuses them. It is no verdict: a row is suspected for any error, one
that has nothing to do with it too; a rule about several rows together makes none suspect, and nor does whatever keeps
the block from running.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from ratings.columns import Bigints, Smallints, Texts, Timestamps, execute
from ratings.interning import RATER_BITS
from ratings.services import RatingWrites

# What one transaction tries, one row and its locks at a time.
_AT_ONCE = 500

# Not a language that this role may use (42), or not a text that the database can hold (22), which ends the block before
# it has begun: whoever tries in earnest learns what it is.
_NOT_TO_BE_TRIED = ("22", "42")

# A block takes no parameters and returns nothing: both go by settings that end with the transaction. The raised error
# is what undoes a row that is taken; it restores the state of the constraints too.
_TRY_EACH = """
DO $try$
DECLARE
    {declared}
    suspects int[] := '{{}}';
BEGIN
    FOR place IN 1 .. cardinality({counted}) LOOP
        BEGIN
            {write};
            SET CONSTRAINTS ALL IMMEDIATE;
            RAISE SQLSTATE 'TAKEN';
        EXCEPTION
            WHEN SQLSTATE 'TAKEN' THEN NULL;
            WHEN OTHERS OR ASSERT_FAILURE THEN suspects := suspects || place;
        END;
    END LOOP;
    PERFORM set_config('suspects.found', suspects::text, true);
END $try$
"""

# As the one write path writes a rating; one that stands just so already is written once more, which says as much.
_WRITE = f"""INSERT INTO ratings_rating AS standing (id, record_id, rater_id, value, previous, written_at)
            VALUES (ids[place], (ids[place] >> {RATER_BITS})::int, (ids[place] & {2**RATER_BITS - 1})::int,
                    nullif(tenths[place], -1), NULL, times[place])
            ON CONFLICT (id) DO UPDATE
            SET value = excluded.value, previous = standing.value, written_at = excluded.written_at
            WHERE excluded.written_at >= standing.written_at"""
_ADD_RECORD = """WITH added AS (
                INSERT INTO ratings_record (type, external_id) SELECT types[place], external_ids[place]
                WHERE NOT EXISTS (
                    SELECT FROM ratings_record WHERE type = types[place] AND external_id = external_ids[place]
                )
                RETURNING id
            )
            INSERT INTO ratings_recordaggregate (record_id) SELECT id FROM added"""
_ADD_RATER = """INSERT INTO ratings_rater (provider_id, user_id) SELECT provider_ids[place], user_ids[place]
            WHERE NOT EXISTS (
                SELECT FROM ratings_rater WHERE provider_id = provider_ids[place] AND user_id = user_ids[place]
            )"""

GoOn = Callable[[], None]
"""Is called before every few hundred rows, and raises what is to end the search."""

_Key = tuple[str, str]
# Sequence has no type for numpy's arrays: any of these, sliced.
_Columns = Mapping[str, Any]
_TYPES: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "ids": (Bigints, "bigint"),
    "tenths": (Smallints, "smallint"),
    "times": (Timestamps, "timestamptz"),
}
_TEXTS: tuple[Callable[[Any], object], str] = (Texts, "text")


def suspected_writes(cursor: psycopg.Cursor[Any], writes: RatingWrites, *, go_on: GoOn) -> list[int]:
    """Places in `writes` of those that are not taken alone; none is left behind. For use outside of a transaction.

    Aggregates are not touched: what a rule has against them, and not against the rating, is not found.
    """
    return _suspects(cursor, _WRITE, {"ids": writes.ids, "tenths": writes.values, "times": writes.times}, go_on)


def suspected_records(cursor: psycopg.Cursor[Any], keys: Sequence[_Key], *, go_on: GoOn) -> list[int]:
    """Places in `keys`, types and ids, of the new records that are not taken alone. Outside of a transaction."""
    return _suspects(cursor, _ADD_RECORD, _two("types", "external_ids", keys), go_on)


def suspected_raters(cursor: psycopg.Cursor[Any], keys: Sequence[_Key], *, go_on: GoOn) -> list[int]:
    """Places in `keys`, providers' and users' ids, of the new raters that are not taken. Outside of a transaction."""
    return _suspects(cursor, _ADD_RATER, _two("provider_ids", "user_ids", keys), go_on)


def _two(first: str, second: str, keys: Sequence[_Key]) -> dict[str, list[str]]:
    return {first: [key[0] for key in keys], second: [key[1] for key in keys]}


def _suspects(cursor: psycopg.Cursor[Any], write: str, columns: _Columns, go_on: GoOn) -> list[int]:
    names = list(columns)
    declared = "\n    ".join(
        f"{name} {_TYPES.get(name, _TEXTS)[1]}[] := current_setting('suspects.{name}');" for name in names
    )
    block = _TRY_EACH.format(declared=declared, counted=names[0], write=write).encode()
    found: list[int] = []
    for first in range(0, len(columns[names[0]]), _AT_ONCE):
        go_on()
        portion = {name: values[first : first + _AT_ONCE] for name, values in columns.items()}
        try:
            found += [first + place - 1 for place in _try_each(cursor, block, portion)]
        except psycopg.Error as error:
            if not (error.sqlstate or "").startswith(_NOT_TO_BE_TRIED):
                raise
            return []
    return found


def _try_each(cursor: psycopg.Cursor[Any], block: bytes, columns: _Columns) -> list[int]:
    with cursor.connection.transaction(force_rollback=True):
        for name, values in columns.items():
            column = _TYPES.get(name, _TEXTS)[0](values)
            execute(cursor, f"SELECT set_config('suspects.{name}', %(column)s::text, true)", {"column": column})
        cursor.execute(block)
        (places,) = cursor.execute("SELECT current_setting('suspects.found')::int[]").fetchone() or ([],)
        return list(places)

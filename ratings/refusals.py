"""Which errors of Postgres tell that a rule of the database refuses a row, whoever made the rule."""

import re

import psycopg

# Classes of SQLSTATE that tell of the connection, the session, a lock, the server or the statement, never of a row. All
# others do: data and constraints (22, 23), limits such as of an index row (54), and whatever a trigger may raise of its
# own, in PL/pgSQL (P0), another language (38) or a class that nobody else knows.
OF_ELSE = (
    *("08", "0B", "0L", "0P", "24", "25", "26", "28", "2B", "2D", "34", "39", "3B", "3D", "3F"),
    *("40", "42", "53", "55", "57", "58", "72", "F0", "HV", "XX"),
)

EXHAUSTED = "2200H"
"""An id column's sequence has come to its end: no row is at fault, and every new id would be refused."""

ID_GIVERS = frozenset({"GetNewTransactionId", "GetNewMultiXactId"})
"""Functions of the server that give out transaction ids and multixact ids. With none left before the wraparound they
refuse with 54000, a limit's state, whatever it is that is written."""

DRIFT = frozenset({"ratings_aggregate_count_not_negative", "ratings_aggregate_total_in_range"})
"""Our own aggregates cannot go wrong by any rating: it is the aggregate that does not fit its ratings any more."""

FUNCTION = re.compile(r"^PL/pgSQL function ([^\s(]+)")
"""How the context of an error begins that a function raised."""

# Feature not supported: of a row where a function raises it; else of the statement, such as a cached plan out of date.
_NOT_SUPPORTED = "0A"
# What we keep beside the ratings: no rating is at fault where a row of these is refused.
_BOOKKEEPING = frozenset({"ratings_aggregatechange", "ratings_interning"})


def is_refusal(error: psycopg.Error) -> bool:
    """Whether it is about a row that was to be written, and none of our own faults."""
    state, about = error.sqlstate, error.diag
    if state is None or state == EXHAUSTED or state.startswith(OF_ELSE) or about.constraint_name in DRIFT:
        return False
    if about.source_function in ID_GIVERS or about.table_name in _BOOKKEEPING:
        return False
    return not state.startswith(_NOT_SUPPORTED) or FUNCTION.match(about.context or "") is not None


def refusal_words(error: psycopg.Error) -> str:
    """The same for a caller, by SQLSTATE and constraint alone: the server's own words may quote the row."""
    constraint = error.diag.constraint_name
    rule = f", constraint {constraint}" if constraint else ""
    return f"a rule of the database refuses it (SQLSTATE {error.sqlstate}{rule})"

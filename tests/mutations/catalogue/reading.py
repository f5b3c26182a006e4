"""Faults in reading one record: what its look-up past the cursor says, and how often each value was given."""

from tests.mutations.mutation import Mutation

_PREPARED = "ratings/prepared.py"
_DISTRIBUTION = "ratings/distribution.py"
_OF_PREPARED = "tests/integration/ratings/test_prepared.py"
_OF_DISTRIBUTION = "tests/integration/ratings/test_distribution.py"

MUTATIONS = (
    Mutation(
        name="id-cut-off-at-a-nul",
        breaks="An id with a NUL in it answers with the rating of another record.",
        path=_PREPARED,
        old="_BINARY = (1, 1)\n",
        new="_BINARY = (0, 0)\n",
        tests=(f"{_OF_PREPARED}::test_an_id_is_never_cut_off_at_a_nul",),
    ),
    Mutation(
        name="dropped-statement-not-prepared-anew",
        breaks="After a rolled back write every read of the same thread fails until its connection is old.",
        path=_PREPARED,
        old="    except InvalidSqlStatementName:\n",
        new="    except NotImplementedError:\n",
        tests=(f"{_OF_PREPARED}::test_what_a_rollback_has_dropped_is_prepared_anew",),
    ),
    Mutation(
        name="lost-connection-a-plain-error",
        breaks="A read on a connection that the database has closed is an unexpected error, never tried anew.",
        path=_PREPARED,
        old="    if connection.pgconn.status == pq.ConnStatus.BAD:\n",
        new="    if connection.pgconn.status != pq.ConnStatus.BAD and not result:\n",
        tests=(f"{_OF_PREPARED}::test_a_lost_connection_is_an_operational_error",),
    ),
    Mutation(
        name="distribution-of-another-version",
        breaks="A record's distribution stays as it was counted first, while its mean goes on.",
        path=_DISTRIBUTION,
        old="            if mark != (aggregate.version, aggregate.changed_at):\n",
        new="            if mark is None:\n",
        tests=(
            f"{_OF_DISTRIBUTION}::test_the_values_that_there_are_in_their_order",
            f"{_OF_DISTRIBUTION}::test_a_record_that_has_not_changed_is_not_counted_again",
        ),
    ),
    Mutation(
        name="distribution-beside-an-older-mean",
        breaks="A distribution and the mean that it comes with are of two moments, and do not add up.",
        path=_DISTRIBUTION,
        old="    return _counted(record_type, record_id) if counts is None else Distribution(aggregate, counts)\n",
        new=(
            "    counted = _counted(record_type, record_id) if counts is None else None\n"
            "    return Distribution(aggregate, counted.counts if counted else counts or ())\n"
        ),
        tests=(f"{_OF_DISTRIBUTION}::test_a_write_in_between_leaves_both_parts_of_one_moment",),
    ),
    Mutation(
        name="distribution-forgets-nothing",
        breaks="A process that is asked for many records' distributions keeps them all, until its memory is full.",
        path=_DISTRIBUTION,
        old="            while len(self._counts) > MOST_REMEMBERED:\n",
        new="            while len(self._counts) < 0:\n",
        tests=(f"{_OF_DISTRIBUTION}::test_only_those_asked_for_last_are_remembered",),
    ),
)

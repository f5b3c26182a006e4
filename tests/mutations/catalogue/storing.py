"""Faults in the store on Postgres: the fence, the one transaction, the connection."""

from tests.mutations.mutation import Mutation

_OFFSETS = "workers/ingestion/consuming/offsets.py"
_POSTGRES = "workers/ingestion/consuming/postgres.py"
_DATABASE = "workers/database.py"
_OF_STORES = "tests/contract/test_ingestion_store.py"
_OF_LOCKS = "tests/integration/ingestion/test_lock_order.py"
_OF_POSTGRES = "tests/integration/ingestion/test_postgres_store.py"
_KILLS = "tests/acceptance/kills"

MUTATIONS = (
    Mutation(
        name="fence-without-epoch",
        breaks="A consumer that lost its partition and does not know it goes on writing.",
        path=_OFFSETS,
        old=" AND standing.epoch = part.epoch",
        new="",
        tests=(
            f"{_OF_STORES}"
            "::test_a_fenced_batch_writes_nothing_and_names_exactly_the_partitions_that_were_taken[postgres]",
            f"{_KILLS}/test_fences.py"
            "::test_a_partition_that_is_taken_out_of_a_batch_takes_no_other_with_it[exactly-once-cooperative]",
        ),
    ),
    Mutation(
        name="fence-without-offset",
        breaks="A batch that begins elsewhere than the position stands is written, with a gap or twice.",
        path=_OFFSETS,
        old="\n  AND standing.next_offset = part.start_offset - part.skipped",
        new="",
        tests=(f"{_OF_STORES}::test_another_position_is_a_fence_too[postgres]",),
    ),
    Mutation(
        name="fence-not-counted",
        breaks="Nobody notices that the fence has advanced fewer partitions than the batch has.",
        path=_OFFSETS,
        old="if cursor.rowcount != len(parts):",
        new="if cursor.rowcount > len(parts):",
        tests=(f"{_OF_STORES}::test_a_partition_that_was_never_taken_is_a_fence[postgres]",),
    ),
    Mutation(
        name="take-over-keeps-the-epoch",
        breaks="A take-over does not raise the epoch, so that the former owner goes on writing.",
        path=_OFFSETS,
        old="SET epoch = standing.epoch + 1, delivery",
        new="SET delivery",
        tests=(
            f"{_OF_STORES}::test_each_take_over_raises_the_epoch_and_tells_where_to_go_on[postgres]",
            f"{_KILLS}/test_kills.py::test_exactly_once_ends_with_each_event_counted_once[cooperative]",
        ),
        options=("--kills=6",),
    ),
    Mutation(
        name="take-over-keeps-the-delivery",
        breaks="A changed delivery is not remembered: the next owner goes by the promise of the one before.",
        path=_OFFSETS,
        old="SET epoch = standing.epoch + 1, delivery = %(delivery)s, skipped",
        new="SET epoch = standing.epoch + 1, skipped",
        tests=(
            f"{_OF_STORES}::test_a_take_over_goes_by_what_both_owners_promise"
            "[postgres-exactly-once-at-least-once-told0-2-0]",
        ),
    ),
    Mutation(
        name="take-over-counts-nothing",
        breaks="What a killed owner had begun under at-most-once is not counted in the database.",
        path=_OFFSETS,
        old="skipped = standing.skipped + %(skipped)s,",
        new="skipped = standing.skipped,",
        tests=(
            f"{_OF_STORES}::test_a_take_over_goes_by_what_both_owners_promise"
            "[postgres-at-most-once-at-most-once-told11-5-3]",
        ),
    ),
    Mutation(
        name="take-over-without-lock",
        breaks="A take-over reads the position before the former owner's commit and sets it back.",
        path=_OFFSETS,
        old="ORDER BY partition FOR UPDATE",
        new="ORDER BY partition",
        tests=(f"{_OF_POSTGRES}::test_a_new_owner_waits_for_the_writer_before_it_and_goes_on_behind_it",),
    ),
    Mutation(
        name="lost-answer-taken-for-a-fence",
        breaks="A batch that was committed, and whose answer was lost, is taken for another owner's.",
        path=_OFFSETS,
        old="rest = batch.without(applied)",
        new="rest = batch.without(())",
        tests=(f"{_OF_STORES}::test_applying_the_same_slices_again_changes_nothing[postgres]",),
    ),
    Mutation(
        name="at-most-once-goes-back",
        breaks="At-most-once writes a batch that lies before the position once more.",
        path=_OFFSETS,
        old="if gaps.get(part.partition, -1) < 0]",
        new="if part.partition not in gaps]",
        tests=(f"{_OF_STORES}::test_at_most_once_is_fenced_too[postgres-behind]",),
    ),
    Mutation(
        name="skipped-not-kept",
        breaks="What at-most-once passed over is not counted in the database.",
        path=_OFFSETS,
        old="skipped = standing.skipped + part.skipped, updated_at",
        new="skipped = standing.skipped, updated_at",
        tests=(f"{_OF_STORES}::test_at_most_once_counts_what_lies_before_a_batch[postgres]",),
    ),
    Mutation(
        name="positions-of-any-topic",
        breaks="A topic that was made anew is read from the old one's position on.",
        path=_OFFSETS,
        old="""'"group" = %(group)s AND cluster_id = %(cluster_id)s AND topic_id = %(topic_id)s'""",
        new="""'"group" = %(group)s AND cluster_id = %(cluster_id)s'""",
        tests=(f"{_OF_POSTGRES}::test_a_topic_made_anew_and_another_cluster_begin_from_their_own_start",),
    ),
    Mutation(
        name="positions-of-any-cluster",
        breaks="A cluster is read from the position in another cluster on.",
        path=_OFFSETS,
        old="""'"group" = %(group)s AND cluster_id = %(cluster_id)s AND topic_id = %(topic_id)s'""",
        new="""'"group" = %(group)s AND topic_id = %(topic_id)s'""",
        tests=(f"{_OF_POSTGRES}::test_a_topic_made_anew_and_another_cluster_begin_from_their_own_start",),
    ),
    Mutation(
        name="positions-of-any-group",
        breaks="A second group goes on where the first one stands.",
        path=_OFFSETS,
        old="""'"group" = %(group)s AND cluster_id""",
        new="""'cluster_id""",
        tests=(f"{_OF_STORES}::test_groups_have_positions_and_letters_of_their_own[postgres]",),
    ),
    Mutation(
        name="position-before-the-ratings",
        breaks="The position is committed before the ratings, so that a crash in between loses them.",
        path=_POSTGRES,
        old="        with cursor.connection.transaction():\n"
        "            skipped = self._begin(cursor, prepared.batch)\n"
        "            self._keep_letters(cursor, prepared.batch)\n",
        new="        skipped = self._begin(cursor, prepared.batch)\n"
        "        with cursor.connection.transaction():\n"
        "            self._keep_letters(cursor, prepared.batch)\n",
        tests=(
            f"{_OF_POSTGRES}::test_a_connection_lost_at_the_commit_leaves_all_or_nothing[before]",
            f"{_KILLS}/test_kills.py::test_exactly_once_ends_with_each_event_counted_once[cooperative]",
        ),
        options=("--kills=15",),
    ),
    Mutation(
        name="batch-pipelined",
        breaks="A consumer that is frozen while it sends keeps its rows locked: the server's time-out does not run.",
        path=_POSTGRES,
        old="        with cursor.connection.transaction():\n"
        "            skipped = self._begin(cursor, prepared.batch)\n"
        "            self._keep_letters(cursor, prepared.batch)\n",
        new="        with cursor.connection.pipeline(), cursor.connection.transaction():\n"
        "            skipped = self._begin(cursor, prepared.batch)\n"
        "            self._keep_letters(cursor, prepared.batch)\n",
        tests=(f"{_OF_POSTGRES}::test_nothing_is_pipelined_so_that_a_frozen_consumer_is_cut_off",),
    ),
    Mutation(
        name="letters-outside-the-transaction",
        breaks="Dead letters are kept after the commit, so that a crash in between loses them.",
        path=_POSTGRES,
        old="            self._keep_letters(cursor, prepared.batch)\n"
        "            if prepared.writes is not None:\n"
        "                ratings_write(cursor, prepared.writes)\n"
        "        return Applied(skipped=skipped)",
        new="            if prepared.writes is not None:\n"
        "                ratings_write(cursor, prepared.writes)\n"
        "        self._keep_letters(cursor, prepared.batch)\n"
        "        return Applied(skipped=skipped)",
        tests=(f"{_OF_POSTGRES}::test_a_connection_lost_at_the_commit_leaves_all_or_nothing[after]",),
    ),
    Mutation(
        name="letters-locked-last",
        breaks="A consumer and a person who replays a letter wait for each other, and one of them is rolled back.",
        path=_POSTGRES,
        old="            self._keep_letters(cursor, prepared.batch)\n"
        "            if prepared.writes is not None:\n"
        "                ratings_write(cursor, prepared.writes)\n",
        new="            if prepared.writes is not None:\n"
        "                ratings_write(cursor, prepared.writes)\n"
        "            self._keep_letters(cursor, prepared.batch)\n",
        tests=(f"{_OF_LOCKS}::test_a_replay_and_a_second_reading_of_the_same_letter_and_rating[plain]",),
    ),
    Mutation(
        name="offsets-locked-first",
        breaks="A consumer that waits for an erasure keeps its partitions from their next owner.",
        path=_POSTGRES,
        old="        interning_share(cursor)\n        return self._offsets.advance",
        new="        return self._offsets.advance",
        tests=(f"{_OF_LOCKS}::test_a_consumer_that_waits_for_an_erasure_holds_no_position",),
    ),
    Mutation(
        name="letters-not-counted",
        breaks="A message that fails again is not counted.",
        path=_POSTGRES,
        old="DO UPDATE SET attempts = standing.attempts + 1",
        new="DO NOTHING",
        tests=(
            f"{_OF_POSTGRES}"
            "::test_a_letter_that_is_read_once_more_after_the_position_was_set_back_is_counted_not_doubled",
        ),
    ),
    Mutation(
        name="ids-outlive-their-connection",
        breaks="After a new connection, numbers of the database before are written into the one that is there now.",
        path=_POSTGRES,
        old="if prepared.connects != self._writing.connects:",
        new="if prepared.connects > self._writing.connects:",
        tests=(f"{_OF_POSTGRES}::test_another_database_behind_a_new_connection_has_numbers_of_its_own",),
    ),
    Mutation(
        name="ids-not-forgotten",
        breaks="What was remembered of ids outlives the connection over which it was found.",
        path=_POSTGRES,
        old="Session(on_connect=self._interner.forget)",
        new="Session()",
        tests=(f"{_OF_POSTGRES}::test_another_database_behind_a_new_connection_has_numbers_of_its_own",),
    ),
    Mutation(
        name="missing-aggregate-untold",
        breaks="A record without its aggregate ends the consumer without a word on how to mend it.",
        path="workers/ingestion/postgres_errors.py",
        old="raise StoreNotReady(str(error)) from error",
        new="raise",
        tests=(
            "tests/integration/ingestion/test_refusals_of_postgres.py"
            "::test_an_aggregate_that_is_missing_stops_the_consumer_too",
        ),
    ),
    Mutation(
        name="sleeps-in-a-transaction",
        breaks="A consumer that is frozen inside a transaction blocks the next owner for ever.",
        path=_DATABASE,
        old='    "idle_in_transaction_session_timeout": "10s",\n',
        new="",
        tests=(f"{_OF_POSTGRES}::test_whoever_sleeps_inside_a_transaction_is_cut_off",),
    ),
    Mutation(
        name="commit-not-durable",
        breaks="A server whose default is another loses committed batches, positions and all, when it crashes.",
        path=_DATABASE,
        old='    "synchronous_commit": "on",\n',
        new="",
        tests=(f"{_OF_POSTGRES}::test_another_default_isolation_is_overridden",),
    ),
    Mutation(
        name="missing-tables-waited-for",
        breaks="A database that is not migrated, or a table that is gone, has the consumer wait for ever.",
        path="workers/ingestion/postgres_errors.py",
        old="    if state.startswith(_OTHER_TABLES):\n",
        new="    if state == _OTHER_TABLES:\n",
        tests=(
            "tests/integration/ingestion/test_refusals_of_postgres.py"
            "::test_a_statement_that_the_database_does_not_take_stops_the_consumer",
        ),
    ),
    Mutation(
        name="letters-with-any-header-name",
        breaks="A header whose name has a NUL character stops its partition for ever.",
        path=_POSTGRES,
        old='.replace("\\x00", "\\\\x00")',
        new="",
        tests=(f"{_OF_POSTGRES}::test_header_names_that_postgres_cannot_hold_are_written_in_another_way",),
    ),
    Mutation(
        name="another-isolation",
        breaks="A server whose default is another isolation has the write path look at the past.",
        path=_DATABASE,
        old='    "default_transaction_isolation": "read\\\\ committed",\n',
        new="",
        tests=(f"{_OF_POSTGRES}::test_another_default_isolation_is_overridden",),
    ),
)

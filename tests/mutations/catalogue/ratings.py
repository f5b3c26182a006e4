"""Faults in the write path of ratings and in the numbers, locks and repairs that it stands on."""

from tests.mutations.mutation import Mutation

_SERVICES = "ratings/services.py"
_INTERNING = "ratings/interning.py"
_REPLAYS = "ratings/replays.py"
_REPAIRING = "ratings/checking/repairing.py"
_OF_SERVICES = "tests/integration/ratings/test_services.py"
_OF_LOCKS = "tests/integration/ratings/test_locks.py"
_OF_ERASING = "tests/integration/ratings/test_erasing.py"
_OF_STORES = "tests/contract/test_rating_store.py"
_OF_INTERNING = "tests/integration/ratings/test_interning.py"
_OF_REPLAYS = "tests/integration/ratings/test_replays.py"
_OF_CHECKS = "tests/integration/ratings/test_check_aggregates.py"
_KILLS = "tests/acceptance/kills"

MUTATIONS = (
    Mutation(
        name="sort-forgets-time",
        breaks="Of several writes of one rating in a batch the last to arrive stands, not the last in time.",
        path=_SERVICES,
        old="np.lexsort((moments, ids))",
        new='np.argsort(ids, kind="stable")',
        tests=(
            "tests/contract/test_ingestion_store.py::test_the_last_of_several_writes_of_one_rating_stands[postgres]",
        ),
    ),
    Mutation(
        name="sort-forgets-keys",
        breaks="Two writers lock the same ratings in different orders and deadlock.",
        path=_SERVICES,
        old="last = order[is_last]",
        new="last = np.sort(order[is_last])",
        tests=(
            f"{_OF_LOCKS}::TestLocks::test_ratings_are_locked_in_the_order_of_their_keys[events]",
            f"{_KILLS}/test_same_keys.py::test_kafka_and_rest_quarrel_over_the_same_ratings",
        ),
    ),
    Mutation(
        name="keys-twice",
        breaks="Two writes of one rating in a batch fail the whole batch: a row cannot be changed twice at once.",
        path=_SERVICES,
        old="    is_last[:-1] = sorted_ids[1:] != sorted_ids[:-1]\n",
        new="",
        tests=(f"{_OF_SERVICES}::TestOneBatch::test_writes_are_one_per_rating_in_the_order_of_their_keys",),
    ),
    Mutation(
        name="delete-as-put",
        breaks="A delete is written as a put of nought.",
        path=_SERVICES,
        old="(_TOMBSTONE if event.tenths is None else event.tenths for",
        new="(event.tenths or 0 for",
        tests=(f"{_OF_STORES}::test_a_put_replaces_and_a_delete_removes[postgres]",),
    ),
    Mutation(
        name="older-write-wins",
        breaks="A late or replayed event takes a rating back in time.",
        path=_SERVICES,
        old="    WHERE excluded.written_at > standing.written_at\n"
        '       OR (excluded.written_at = standing.written_at AND excluded.value IS DISTINCT FROM standing.value)"""',
        new='    WHERE excluded.value IS DISTINCT FROM standing.value"""',
        tests=(
            f"{_OF_STORES}::test_a_later_event_wins_in_whatever_order_they_arrive[postgres]",
            f"{_KILLS}/test_kills.py::test_exactly_once_ends_with_each_event_counted_once[cooperative]",
        ),
        options=("--kills=6",),
    ),
    Mutation(
        name="equal-time-ignored",
        breaks="Of two writes with one stamp, as brokers give to a whole batch, the first stands.",
        path=_SERVICES,
        old="\n       OR (excluded.written_at = standing.written_at"
        " AND excluded.value IS DISTINCT FROM standing.value)",
        new="",
        tests=(f"{_OF_STORES}::test_of_equal_times_the_later_arrival_wins[postgres]",),
    ),
    Mutation(
        name="tombstone-dropped",
        breaks="A delete of a rating that is not there yet leaves no trace, and a put from before it stands.",
        path=_SERVICES,
        old="    FROM {writes}\n    ON CONFLICT",
        new="    FROM {writes}\n"
        "    WHERE value <> {_TOMBSTONE} OR id IN (SELECT id FROM ratings_rating)\n    ON CONFLICT",
        tests=(f"{_OF_STORES}::test_a_put_that_arrives_after_a_later_delete_stays_deleted[postgres]",),
    ),
    Mutation(
        name="previous-forgotten",
        breaks="A changed rating counts twice in its aggregate: the replaced value is not taken out.",
        path=_SERVICES,
        old="    SET value = excluded.value, previous = standing.value, written_at = excluded.written_at\n"
        "    WHERE excluded.written_at > standing.written_at\n"
        "       OR",
        new="    SET value = excluded.value, previous = NULL, written_at = excluded.written_at\n"
        "    WHERE excluded.written_at > standing.written_at\n"
        "       OR",
        tests=(
            f"{_OF_SERVICES}::TestOneBatch::test_opposite_changes_of_one_record_still_make_a_new_version",
            f"{_KILLS}/test_kills.py::test_exactly_once_ends_with_each_event_counted_once[cooperative]",
        ),
        options=("--kills=6",),
    ),
    Mutation(
        name="aggregate-from-unlocked-row",
        breaks="Of two writers of one record, the aggregate loses one's difference.",
        path=_SERVICES,
        old="        WHERE record_id = differences.record_id FOR NO KEY UPDATE\n",
        new="        WHERE record_id = differences.record_id\n",
        tests=(f"{_OF_LOCKS}::TestLocks::test_a_difference_is_taken_from_what_another_writer_left",),
    ),
    Mutation(
        name="aggregates-unsorted",
        breaks="Two writers lock the aggregates of their records in different orders and deadlock.",
        path=_SERVICES,
        old="    GROUP BY record_id\n    ORDER BY record_id\n), {_MOVE_AGGREGATES}\nSELECT (SELECT",
        new="    GROUP BY record_id\n    ORDER BY record_id DESC\n), {_MOVE_AGGREGATES}\nSELECT (SELECT",
        tests=(f"{_OF_LOCKS}::TestLocks::test_aggregates_are_locked_in_the_order_of_their_records[events]",),
    ),
    Mutation(
        name="missing-aggregate-unnoticed",
        breaks="A record without its aggregate is written to, and its mean is wrong from then on.",
        path=_SERVICES,
        old="if differing != aggregates:",
        new="if differing < aggregates:",
        tests=(f"{_OF_SERVICES}::TestOneBatch::test_a_record_without_its_aggregate_is_told_and_nothing_is_written",),
    ),
    Mutation(
        name="generation-unchecked",
        breaks="A consumer that knew a person from before an erasure writes under the erased number.",
        path=_SERVICES,
        old="if generation != writes.generation:",
        new="if generation < writes.generation:",
        tests=(f"{_OF_ERASING}::TestStaleIds::test_ids_from_before_an_erasure_are_refused",),
    ),
    Mutation(
        name="erasure-without-lock",
        breaks="A write that is under way puts a person's rating back after the erasure.",
        path=_SERVICES,
        old='        cursor.execute(_LOCK_INTERNING, {"lock": _INTERNING_LOCK})\n',
        new="",
        tests=(f"{_OF_ERASING}::TestStaleIds::test_an_erasure_waits_for_a_write_and_takes_it_too",),
    ),
    Mutation(
        name="write-without-shared-lock",
        breaks="An erasure does not see a write that is under way.",
        path=_SERVICES,
        old='    cursor.execute(_SHARE_INTERNING, {"lock": _INTERNING_LOCK})\n    (generation,)',
        new="    (generation,)",
        tests=(f"{_OF_ERASING}::TestStaleIds::test_an_erasure_waits_for_a_write_and_takes_it_too",),
    ),
    Mutation(
        name="command-as-old-as-what-stood",
        breaks="A person's own change gets the time of an event from ahead of the clock, whose replay takes it back.",
        path=_SERVICES,
        old="greatest(excluded.written_at, standing.written_at + interval '1 microsecond')",
        new="greatest(excluded.written_at, standing.written_at)",
        tests=(f"{_OF_STORES}::test_what_is_written_now_beats_all_that_stands[postgres]",),
    ),
    Mutation(
        name="late-write-of-the-same-time-wins",
        breaks="A replayed letter beats the write of the same time that came after it.",
        path=_SERVICES,
        old="return _write(cursor, _WRITE_IF_LATER, writes)",
        new="return _write(cursor, _WRITE_IF_NEWER, writes)",
        tests=(
            "tests/integration/ingestion/test_dead_letters_settled.py::test_a_write_that_is_not_older_stands"
            "[at the same time-put]",
        ),
    ),
    Mutation(
        name="intern-inside-the-transaction",
        breaks="A person's first rating holds up everybody who meets the same new ids, until its own locks are free.",
        path=_SERVICES,
        old="            writes = rating_writes(cursor, interner, events, [0] * len(events))\n"
        "            try:\n"
        "                with transaction.atomic():\n",
        new="            try:\n"
        "                with transaction.atomic():\n"
        "                    writes = rating_writes(cursor, interner, events, [0] * len(events))\n",
        tests=(f"{_OF_LOCKS}::TestLocks::test_new_ids_are_nobodys_lock",),
    ),
    Mutation(
        name="ids-burnt",
        breaks="Every batch of known ids uses up numbers, until the four-byte ids run out.",
        path=_INTERNING,
        old="            found = execute(cursor, self._find, _columns(missing)).fetchall()\n",
        new="            execute(cursor, self._add, _columns(missing)).fetchall()\n"
        "            found = execute(cursor, self._find, _columns(missing)).fetchall()\n",
        tests=(f"{_OF_INTERNING}::test_repeats_burn_no_numbers",),
    ),
    Mutation(
        name="ids-unbounded",
        breaks="A consumer remembers every id it ever saw, until the memory is full.",
        path=_INTERNING,
        old="if self.remembered + len(missing) > self._capacity:",
        new="if self.remembered > len(missing) + self._capacity * 1_000:",
        tests=(f"{_OF_INTERNING}::test_memory_is_bounded_and_correct_when_it_overflows",),
    ),
    Mutation(
        name="ids-unsorted",
        breaks="Two writers that add the same new ids in different orders deadlock.",
        path=_INTERNING,
        old="for second in sorted(seconds[first])]",
        new="for second in seconds[first]]",
        tests=(f"{_OF_INTERNING}::test_new_ids_are_added_in_one_order_whatever_their_order_in_the_batch",),
    ),
    Mutation(
        name="ids-mixed-up",
        breaks="New people's ratings are written under each other's numbers.",
        path=_INTERNING,
        old="added = sorted(number for (number,) in execute(cursor, self._add, _columns(missing)))",
        new="added = sorted((number for (number,) in execute(cursor, self._add, _columns(missing))), reverse=True)",
        tests=(f"{_OF_INTERNING}::test_added_ids_are_remembered_under_their_own_numbers",),
    ),
    Mutation(
        name="generation-read-last",
        breaks="A person who is erased while an event is looked up comes back under the erased number.",
        path=_INTERNING,
        old="        if self._generation is None:\n",
        new="        self._raters.numbers(cursor, events)\n        if self._generation is None:\n",
        tests=(f"{_OF_INTERNING}::test_nothing_is_written_for_a_rater_who_is_erased_while_being_added",),
    ),
    Mutation(
        name="replay-drops-another-value",
        breaks="In a batch that looks like a replay, another value of the same time is dropped.",
        path=_REPLAYS,
        old=" AND coalesce(standing.value, {tombstone}) = event.value",
        new="",
        tests=(f"{_OF_REPLAYS}::test_what_is_new_among_a_replay_is_written",),
    ),
    Mutation(
        name="repair-without-lock",
        breaks="A repair writes what it counted before another writer's commit, and its difference is lost.",
        path=_REPAIRING,
        old="        cursor.execute(_LOCK, wanted)\n",
        new="",
        tests=(f"{_OF_CHECKS}::test_a_write_that_is_under_way_during_the_repair_is_not_lost",),
    ),
    Mutation(
        name="repair-by-an-old-look",
        breaks="A repair sets an aggregate to what the ratings were when it looked.",
        path=_REPAIRING,
        old=" AND aggregate.version = seen.version",
        new="",
        tests=(f"{_OF_CHECKS}::test_a_write_that_comes_between_the_look_and_the_repair_is_not_lost",),
    ),
    Mutation(
        name="repair-unpublished",
        breaks="Followers never hear of an aggregate that was mended.",
        path=_REPAIRING,
        old="_SET_WHAT_STANDS, parameters)}\n        mark_changed(cursor, sorted(changed))\n",
        new="_SET_WHAT_STANDS, parameters)}\n",
        tests=(f"{_OF_CHECKS}::test_a_repair_is_published",),
    ),
)

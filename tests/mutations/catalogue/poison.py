"""Faults in how poison is told from outages, found, kept and limited."""

from tests.mutations.mutation import Mutation

_POISON = "workers/ingestion/consuming/poison.py"
_SIFTING = "workers/ingestion/consuming/sifting.py"
_STORE = "workers/ingestion/consuming/postgres.py"
_ERRORS = "workers/ingestion/postgres_errors.py"
_REFUSALS = "ratings/refusals.py"
_BREAKER = "workers/ingestion/consuming/breaker.py"
_WRITING = "workers/ingestion/consuming/writing.py"
_COMMITTING = "workers/ingestion/consuming/committing.py"
_OF_POISON = "tests/unit/consuming/test_poison.py"
_OF_ERRORS = "tests/unit/consuming/test_postgres_errors.py"
_OF_BREAKER = "tests/unit/consuming/test_breaker.py"
_OF_TOO_MANY = "tests/unit/consuming/test_too_many_letters.py"
_OF_REFUSED = "tests/contract/test_refused_events.py"
_OF_POSTGRES = "tests/integration/ingestion/test_refusals_of_postgres.py"
_OF_SEARCH = "tests/integration/ingestion/test_search_for_refused.py"
_OF_ANY_KIND = "tests/acceptance/test_consume_ratings_poison.py"
_OF_STOPPING = "tests/acceptance/test_consume_ratings_stopped_by_poison.py"

MUTATIONS = (
    Mutation(
        name="poison-whole-batch",
        breaks="One refused event takes its whole batch to the dead letters.",
        path=_POISON,
        old="        middle = len(part) // 2\n        are_refused",
        new="        self.refused |= dict.fromkeys(part, refusal)\n"
        "        middle = len(part) // 2\n        are_refused",
        tests=(f"{_OF_POISON}::test_one_refused_event_takes_a_logarithm_of_trials",),
    ),
    Mutation(
        name="poison-dropped",
        breaks="A refused event is dropped: it is applied nowhere and no letter tells of it.",
        path=_POISON,
        old="letters=sorted([*part.letters, *letters], key=lambda letter: letter.offset),",
        new="letters=part.letters,",
        tests=(f"{_OF_POISON}::test_refused_events_become_letters_in_their_place_and_nothing_else_changes",),
    ),
    Mutation(
        name="poison-takes-good-write",
        breaks="A good earlier write of the same rating is lost with the refused one.",
        path=_POISON,
        old="kept = [place for place in range(len(part.events)) if place not in refused]",
        new="users = {part.events[place].user_id for place in refused}\n"
        "    kept = [place for place in range(len(part.events)) if part.events[place].user_id not in users]",
        tests=(
            f"{_OF_REFUSED}::test_an_earlier_good_write_of_the_same_rating_is_not_lost_with_it[postgres]",
            f"{_OF_ANY_KIND}::test_one_bad_message_of_every_kind_becomes_one_dead_letter_each_and_all_else_is_applied",
        ),
    ),
    Mutation(
        name="poison-last-straw-unfound",
        breaks="Events that are refused only together are looked for in vain, and the search never ends.",
        path=_POISON,
        old="            self._find_last_straw(part, refusal)\n",
        new="            self.refused |= dict.fromkeys(part, refusal)\n",
        tests=(f"{_OF_POISON}::test_events_that_are_refused_only_together_are_taken_as_long_as_they_fit",),
    ),
    Mutation(
        name="poison-halved-always",
        breaks="A batch of which the database refuses a thousand events takes minutes.",
        path=_POISON,
        old="in self._suspects(part):",
        new="in ():",
        tests=(f"{_OF_SEARCH}::test_each_of_many_refused_events_costs_one_statement_more[a trigger]",),
    ),
    Mutation(
        name="poison-suspects-condemned",
        breaks="A good event is dead-lettered because an error that has passed made it look bad.",
        path=_POISON,
        old="            refusal = self._trial([number])\n            if refusal is not None:\n",
        new="            refusal = self._trial([number]) or Refusal('', '')\n            if refusal is not None:\n",
        tests=(f"{_OF_POISON}::test_a_wrong_suspicion_refuses_nobody",),
    ),
    Mutation(
        name="poison-asked-for-always",
        breaks="One refused event in a batch costs the server a transaction id for each of the 50,000.",
        path=_POISON,
        old="if len(part) > _ASKED_FOR_EACH * (found + 1) - self._asked:",
        new="if len(part) > 10**6:",
        tests=(
            f"{_OF_POISON}::test_no_more_events_are_asked_for_than_are_worth_it_for_those_found[1]",
            f"{_OF_SEARCH}::test_one_refused_event_costs_few_transaction_ids",
        ),
    ),
    Mutation(
        name="poison-dependent-condemned",
        breaks="A good event is dead-lettered because it was tried without the one that it needs.",
        path=_POISON,
        old="        search.reconsider(left)\n",
        new="        pass\n",
        tests=(
            f"{_OF_POISON}::test_an_event_that_needs_another_one_of_the_batch_is_taken_with_it",
            f"{_OF_SEARCH}::test_a_rating_that_is_only_allowed_after_another_one_of_its_batch_is_written",
        ),
    ),
    Mutation(
        name="suspects-unfenced",
        breaks="A consumer tries a whole batch event by event before it looks whether it is to end.",
        path="ratings/suspects.py",
        old="        go_on()\n",
        new="",
        tests=(
            f"{_OF_SEARCH}::test_between_two_portions_it_is_looked_at_whether_to_go_on[suspected_raters]",
            f"{_OF_SEARCH}::test_between_two_portions_it_is_looked_at_whether_to_go_on[suspected_records]",
        ),
    ),
    Mutation(
        name="assertion-not-suspected",
        breaks="An event that fails a trigger's ASSERT stops its partition for ever.",
        path="ratings/suspects.py",
        old="WHEN OTHERS OR ASSERT_FAILURE",
        new="WHEN OTHERS",
        tests=(f"{_OF_POSTGRES}::test_an_error_of_the_data_is_a_letter",),
    ),
    Mutation(
        name="outage-tells-the-row",
        breaks="The log repeats a person's data from a trigger's words.",
        path=_ERRORS,
        old=" and not about.context)",
        new=")",
        tests=(f"{_OF_POSTGRES}::test_any_other_error_is_waited_out_with_nothing_written",),
    ),
    Mutation(
        name="poison-search-unfenced",
        breaks="A consumer goes on searching a partition's batch for minutes after another one has taken it.",
        path=_SIFTING,
        old="            self._go_on()\n",
        new="",
        tests=(f"{_OF_SEARCH}::test_a_new_owner_need_not_wait_for_the_search_and_ends_it",),
    ),
    Mutation(
        name="poison-search-unending",
        breaks="SIGTERM during a long search is heard when the search is over.",
        path=_STORE,
        old="            self._writing.check_wanted()\n",
        new="",
        tests=(f"{_OF_SEARCH}::test_the_end_of_the_process_ends_the_search[write]",),
    ),
    Mutation(
        name="trial-search-unending",
        breaks="SIGTERM during the search of a batch that is only tried out is heard when the search is over.",
        path=_STORE,
        old="go_on=self._writing.check_wanted)",
        new="go_on=lambda: None)",
        tests=(f"{_OF_SEARCH}::test_the_end_of_the_process_ends_the_search[try_out]",),
    ),
    Mutation(
        name="trial-given-up-counts",
        breaks="At-most-once begins, and loses, a batch whose trial an erasure has ended before anything was tried.",
        path=_STORE,
        old="                    continue  # with ids that are looked up again\n",
        new="                    return\n",
        tests=(f"{_OF_POSTGRES}::test_a_batch_is_not_tried_out_by_a_trial_that_an_erasure_ended",),
    ),
    Mutation(
        name="poison-trials-stay",
        breaks="What a trial has written stays, whoever owns the partition by then.",
        path=_SIFTING,
        old="transaction(force_rollback=True)",
        new="transaction()",
        tests=(f"{_OF_SEARCH}::test_what_was_tried_is_not_written_when_another_owner_comes_last",),
    ),
    Mutation(
        name="poison-breaker-bypassed",
        breaks="Events that the database refuses do not count for the breaker.",
        path=_SIFTING,
        old="        self._allowance.check(left)\n",
        new="",
        tests=(f"{_OF_REFUSED}::test_more_refused_events_than_are_allowed_write_nothing[postgres-robot]",),
    ),
    Mutation(
        name="outage-dead-lettered",
        breaks="A full disk fills the dead letters with good events.",
        path=_REFUSALS,
        old='"42", "53", "55"',
        new='"42", "55"',
        tests=(
            f"{_OF_POSTGRES}::test_any_other_error_is_waited_out_with_nothing_written",
            "tests/acceptance/kills/test_outages.py::test_a_full_disk_is_waited_out[exactly-once-cooperative]",
        ),
    ),
    Mutation(
        name="exhausted-ids-dead-lettered",
        breaks="A sequence that has come to its end is blamed on every event with a new id.",
        path=_REFUSALS,
        old="state == EXHAUSTED or ",
        new="",
        tests=(
            f"{_OF_POSTGRES}::test_any_other_error_is_waited_out_with_nothing_written",
            f"{_OF_STOPPING}::test_a_worker_waits_for_ids_that_have_run_out_and_blames_no_message",
        ),
    ),
    Mutation(
        name="drift-dead-lettered",
        breaks="An aggregate that has drifted is blamed on the ratings of its record.",
        path=_REFUSALS,
        old=" or about.constraint_name in DRIFT:\n        return False",
        new=":\n        return False",
        tests=(f"{_OF_POSTGRES}::test_an_aggregate_that_has_drifted_stops_the_consumer_and_blames_no_rating",),
    ),
    Mutation(
        name="bookkeeping-dead-lettered",
        breaks="A violation in a table that we keep beside the ratings is blamed on a rating.",
        path=_ERRORS,
        old=" or about.table_name in _BOOKKEEPING:",
        new=":",
        tests=(
            f"{_OF_POSTGRES}::test_a_violation_of_our_bookkeeping_blames_no_rating",
            f"{_OF_ERRORS}::test_of_our_own_tables_only_those_of_the_ratings_are_an_events",
        ),
    ),
    Mutation(
        name="own-tables-waited-for",
        breaks="An event that a deployment's trigger cannot note in a table of its own stops its partition for ever.",
        path=_ERRORS,
        old=" or about.table_name in _BOOKKEEPING:",
        new=' or not (about.table_name or "ratings_").startswith("ratings_"):',
        tests=(
            f"{_OF_POSTGRES}::test_a_violation_of_a_table_of_the_deployments_own_is_a_letter",
            f"{_OF_ERRORS}::test_a_table_that_is_not_ours_is_an_events_too",
        ),
    ),
    Mutation(
        name="wraparound-dead-lettered",
        breaks="A server that has no transaction ids left fills the dead letters with good events.",
        path=_REFUSALS,
        old="    if about.source_function in ID_GIVERS or ",
        new="    if ",
        tests=(f"{_OF_ERRORS}::test_a_server_without_transaction_ids_is_waited_for_and_says_so",),
    ),
    Mutation(
        name="wraparound-untold",
        breaks="Nobody who reads why the consumer waits learns that the server has no transaction ids left.",
        path=_ERRORS,
        old="        or about.source_function in ID_GIVERS\n",
        new="",
        tests=(f"{_OF_ERRORS}::test_a_server_without_transaction_ids_is_waited_for_and_says_so",),
    ),
    Mutation(
        name="trigger-waited-for",
        breaks="An event that a trigger refuses stops its partition for ever.",
        path=_REFUSALS,
        old='"HV", "XX"),',
        new='"HV", "P0", "XX"),',
        tests=(
            f"{_OF_REFUSED}::test_a_refused_event_is_a_letter_and_all_others_are_applied[postgres]",
            "tests/unit/rpc/test_anticipated.py::test_each_has_both_statuses",
            "tests/unit/ratings/test_streaming.py::test_what_a_trigger_refuses_under_another_code_is_refused_too",
        ),
    ),
    Mutation(
        name="reason-tells-the-row",
        breaks="The reason of a dead letter repeats a person's data from the server's words.",
        path=_ERRORS,
        old='f"the database refuses it: {_named',
        new='f"the database refuses it: {about.message_primary} {_named',
        tests=(f"{_OF_POSTGRES}::test_an_error_of_the_data_is_a_letter",),
    ),
    Mutation(
        name="breaker-never-trips",
        breaks="A topic that carries something else is dead-lettered message by message, for days.",
        path=_BREAKER,
        old="if batch.letters <= self.most:",
        new="if batch.letters <= self.messages:",
        tests=(
            f"{_OF_BREAKER}::test_exactly_the_limit_does_not_trip",
            f"{_OF_STOPPING}::test_a_topic_of_something_else_stops_the_worker_and_nothing_is_dropped",
        ),
    ),
    Mutation(
        name="breaker-forgets",
        breaks="Small batches of nothing but poison never trip the breaker.",
        path=_BREAKER,
        old="return max(0, most - self.letters)",
        new="return most",
        tests=(f"{_OF_BREAKER}::test_the_batches_before_it_are_weighed_with_it",),
    ),
    Mutation(
        name="breaker-weighs-long-batches-whole",
        breaks="After a long good batch thousands of messages of garbage become letters before the breaker trips.",
        path=_BREAKER,
        old="            outside = min(weighed - _WINDOW, old_messages)\n",
        new="            outside = old_messages if weighed - _WINDOW >= old_messages else 0\n",
        tests=(f"{_OF_BREAKER}::test_garbage_after_a_long_good_batch_trips_within_a_tenth_of_the_window[1000]",),
    ),
    Mutation(
        name="breaker-trips-early",
        breaks="A few bad messages at the start stop a consumer.",
        path=_BREAKER,
        old="        if self.messages < _FEWEST_MESSAGES:\n            return self.messages\n",
        new="",
        tests=(f"{_OF_BREAKER}::test_what_a_first_batch_may_bring[0.1-999-999]",),
    ),
    Mutation(
        name="breaker-too-late",
        breaks="The breaker trips after the batch was written: the letters are kept, and the position has moved.",
        path=_WRITING,
        old="        allowance.check(batch)\n",
        new="",
        tests=(f"{_OF_TOO_MANY}::test_it_stops_before_anything_of_the_batch_is_written_or_committed[exactly-once]",),
    ),
    Mutation(
        name="breaker-counts-nothing",
        breaks="The breaker never hears of the batches that were written.",
        path=_WRITING,
        old="        self._breaker.count(messages=written.messages, letters=written.letters + applied.refused)\n",
        new="",
        tests=(f"{_OF_TOO_MANY}::test_many_small_batches_trip_it_too_and_those_before_are_kept",),
    ),
    Mutation(
        name="breaker-drops-at-most-once",
        breaks="At-most-once tells Kafka that a batch is done which the breaker then stops: it is lost.",
        path=_COMMITTING,
        old="self._writer.weigh(batch)  # before Kafka takes it for done",
        new="self._writer._breaker.allowance(batch.messages)",
        tests=(f"{_OF_TOO_MANY}::test_it_stops_before_anything_of_the_batch_is_written_or_committed[at-most-once]",),
    ),
    Mutation(
        name="breaker-keeps-what-was-begun",
        breaks="At-most-once has told Kafka of a batch of which the database refuses too much, and it is lost.",
        path=_COMMITTING,
        old="            self._give_up(self._ownership.void_commits(ending, seconds=self._seconds))\n",
        new="",
        tests=(
            f"{_OF_TOO_MANY}::test_what_the_database_refuses_counts_as_well[at-most-once]",
            f"{_OF_STOPPING}::test_a_rule_of_the_database_that_refuses_too_much_stops_the_worker_and_nothing_is_dropped[at-most-once]",
        ),
    ),
)

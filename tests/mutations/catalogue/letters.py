"""Faults in what is done with dead letters, positions and tombstones by operators."""

from tests.mutations.mutation import Mutation

_SETTLING = "workers/ingestion/dead_letters/settling.py"
_MIRRORING = "workers/ingestion/dead_letters/mirroring.py"
_VERBATIM = "workers/kafka/verbatim.py"
_MOVING = "workers/ingestion/positions/moving.py"
_PURGING = "ratings/purging.py"
_OF_SETTLING = "tests/integration/ingestion/test_dead_letters_settled.py"
_OF_MIRRORING = "tests/integration/ingestion/test_dead_letter_mirror.py"
_OF_VERBATIM = "tests/contract/test_verbatim_producer.py"
_OF_MOVING = "tests/acceptance/test_move_offsets.py"
_OF_LATE_MOVES = "tests/integration/ingestion/test_moving_after_a_slow_answer.py"
_OF_PURGING = "tests/integration/test_purge_deleted.py"

MUTATIONS = (
    Mutation(
        name="replay-as-of-now",
        breaks="A replayed letter counts as written now and beats everything that came after it.",
        path=_SETTLING,
        old="(letter.timestamp - _EPOCH) // timedelta",
        new="(datetime.now(UTC) - _EPOCH) // timedelta",
        tests=(f"{_OF_SETTLING}::test_a_letter_is_applied_at_its_own_time_to_the_microsecond_and_is_gone",),
    ),
    Mutation(
        name="replay-twice",
        breaks="Two operators who replay a letter at once apply it twice.",
        path=_SETTLING,
        old="                    _check_all_there(letter_ids)\n",
        new="",
        tests=(
            "tests/integration/ingestion/test_dead_letters_replayed_twice.py"
            "::test_a_letter_that_another_replay_takes_after_the_look_is_gone",
        ),
    ),
    Mutation(
        name="replay-locks-in-another-order",
        breaks="A replay and an erasure wait for each other for ever.",
        path=_SETTLING,
        old="                    interning_share(cursor)\n                    _check_all_there(letter_ids)\n",
        new="                    _check_all_there(letter_ids)\n                    interning_share(cursor)\n",
        tests=(f"{_OF_SETTLING}::test_an_erasure_that_waits_for_the_letters_does_not_deadlock",),
    ),
    Mutation(
        name="replay-in-any-order",
        breaks="Of several letters of one rating and one time, replayed together, not the last one stands.",
        path=_SETTLING,
        old='.order_by("timestamp", "partition", "offset")',
        new='.order_by("timestamp", "partition", "-offset")',
        tests=(f"{_OF_SETTLING}::test_of_letters_of_the_same_time_the_last_in_the_partition_stays[500]",),
    ),
    Mutation(
        name="replay-parts-upwards",
        breaks="Of letters of one rating and one time, replayed part by part, the first one stands.",
        path="workers/ingestion/dead_letters/selectors.py",
        old="    below = up_to + 1\n"
        '    while ids := sized_ids(letters.filter(pk__lt=below).order_by("-pk")):\n'
        "        yield ids\n"
        "        below = ids[-1]\n",
        new="    above = 0\n"
        '    while ids := sized_ids(letters.filter(pk__gt=above, pk__lte=up_to).order_by("pk")):\n'
        "        yield ids\n"
        "        above = ids[-1]\n",
        tests=(f"{_OF_SETTLING}::test_of_letters_of_the_same_time_the_last_in_the_partition_stays[1]",),
    ),
    Mutation(
        name="replay-not-counted",
        breaks="A letter that fails again does not say how often.",
        path=_SETTLING,
        old='attempts=F("attempts") + 1',
        new='attempts=F("attempts")',
        tests=(f"{_OF_SETTLING}::test_what_fails_again_is_kept_with_its_new_reason_and_the_others_go_on",),
    ),
    Mutation(
        name="replay-keeps-the-letter",
        breaks="A letter that was applied stays and is applied again.",
        path=_SETTLING,
        old="                    DeadLetter.objects.filter(pk__in=letter_ids).delete()\n            except StaleIds",
        new="            except StaleIds",
        tests=(f"{_OF_SETTLING}::test_a_letter_is_applied_at_its_own_time_to_the_microsecond_and_is_gone",),
    ),
    Mutation(
        name="mirrored-though-refused",
        breaks="A letter that Kafka refused counts as mirrored.",
        path=_MIRRORING,
        old="zip(letters, refusals, strict=True) if not refusal]",
        new="zip(letters, refusals, strict=True)]",
        tests=(f"{_OF_MIRRORING}::test_a_refused_letter_keeps_the_reason_and_holds_up_no_other",),
    ),
    Mutation(
        name="mirrored-by-two",
        breaks="Each consumer sends every letter to the mirror topic.",
        path=_MIRRORING,
        old="                if not _is_only_sender():\n                    return 0\n",
        new="",
        tests=(f"{_OF_MIRRORING}::test_one_at_a_time_sends",),
    ),
    Mutation(
        name="mirrored-in-a-circle",
        breaks="A letter from the mirror topic goes to the mirror topic, for ever.",
        path=_MIRRORING,
        old=".exclude(topic=self._topic)",
        new="",
        tests=(f"{_OF_MIRRORING}::test_letters_from_the_mirror_topic_itself_do_not_go_round",),
    ),
    Mutation(
        name="mirrored-before-the-answer",
        breaks="Letters count as mirrored before Kafka has answered: a crash of the broker loses them.",
        path=_VERBATIM,
        old="            if len(answers) < len(messages):\n"
        "                raise self._no_answer(timeout)\n"
        "        finally:\n"
        "            self._drop_the_rest()\n"
        "        return [self._refusal(answers[number]) for number in range(len(messages))]",
        new="        finally:\n"
        "            pass\n"
        "        return [self._refusal(answers.get(number)) for number in range(len(messages))]",
        tests=(f"{_OF_VERBATIM}::test_without_a_broker_it_says_so_in_time_and_nothing_stays_on_its_way[kafka]",),
    ),
    Mutation(
        name="move-keeps-the-epoch",
        breaks="A consumer that runs while its position is moved writes on and undoes the move.",
        path=_MOVING,
        old="    row.epoch += 1\n",
        new="    row.epoch += 0\n",
        tests=(f"{_OF_MOVING}::test_a_move_decides_whatever_kafka_has_as_the_position[at-most-once]",),
    ),
    Mutation(
        name="move-keeps-the-time",
        breaks="What is read again after a move counts as newer than it is and beats what came after it.",
        path=_MOVING,
        old="    row.latest_time = _latest_time(row, move)\n",
        new="",
        tests=(f"{_OF_MOVING}::test_the_running_time_is_that_of_the_new_place",),
    ),
    Mutation(
        name="move-by-an-old-plan",
        breaks="A move to the latest that is confirmed late leaves what came in since the plan was shown.",
        path=_MOVING,
        old="    plan = planned_moves(request)\n",
        new="    plan = shown\n",
        tests=(f"{_OF_LATE_MOVES}::test_latest_is_the_end_after_the_answer",),
    ),
    Mutation(
        name="move-locks-and-does-not-look",
        breaks="A group that reads on while its row is waited for is moved back instead of ahead.",
        path=_MOVING,
        old="        check_unchanged(plan, replace(plan, moves=moves))\n",
        new="",
        tests=(f"{_OF_LATE_MOVES}::test_a_group_that_reads_past_the_place_while_its_row_is_locked_is_not_moved_back",),
    ),
    Mutation(
        name="purge-takes-live-ratings",
        breaks="A rating that is put again while old tombstones are removed is removed with them.",
        path=_PURGING,
        old="    WHERE id = ANY(%(ids)s) AND value IS NULL AND written_at < %(before)s ORDER BY id FOR UPDATE",
        new="    WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE",
        tests=(f"{_OF_PURGING}::test_a_rating_that_is_put_again_after_the_look_stays",),
    ),
    Mutation(
        name="purge-takes-young-tombstones",
        breaks="Tombstones are removed that still keep older puts from applying.",
        path=_PURGING,
        old="FILTER (WHERE value IS NULL AND written_at < %(before)s) FROM looked\n"
        '"""\n\n'
        "# A rating that was put again meanwhile is looked at once more behind its lock, and stays.\n"
        '_REMOVE = """\n'
        "WITH doomed AS MATERIALIZED (\n"
        "    SELECT id FROM ratings_rating\n"
        "    WHERE id = ANY(%(ids)s) AND value IS NULL AND written_at < %(before)s ORDER",
        new="FILTER (WHERE value IS NULL) FROM looked\n"
        '"""\n\n'
        '_REMOVE = """\n'
        "WITH doomed AS MATERIALIZED (\n"
        "    SELECT id FROM ratings_rating\n"
        "    WHERE id = ANY(%(ids)s) AND value IS NULL ORDER",
        tests=(f"{_OF_PURGING}::test_old_tombstones_go_and_all_else_stays",),
    ),
    Mutation(
        name="purge-within-the-retention",
        breaks="Tombstones are removed while Kafka still has older puts, which a second reading makes stand again.",
        path="workers/ingestion/purging.py",
        old="if kept.age is None or older_than < kept.age:",
        new="if kept.age is None:",
        tests=(f"{_OF_PURGING}::test_an_age_within_the_retention_is_refused_unless_one_insists",),
    ),
    Mutation(
        name="purge-believes-the-settings",
        breaks="Tombstones go by the settings' retention while the topic itself keeps older puts.",
        path="workers/ingestion/purging.py",
        old="    if actual.age > wanted:\n",
        new="    if actual.age < wanted:\n",
        tests=(f"{_OF_PURGING}::test_the_topic_itself_may_keep_events_for_longer_than_the_settings_say",),
    ),
    Mutation(
        name="purge-forgets-the-letters",
        breaks="A tombstone goes while a dead letter with an older put may still be replayed.",
        path="workers/ingestion/purging.py",
        old="oldest = None if unsafe else",
        new="oldest = None if not unsafe else",
        tests=(f"{_OF_PURGING}::test_what_a_dead_letter_may_still_need_stays",),
    ),
)

"""Faults in the consume loop: partitions that come and go, writes that fail, positions without messages."""

from tests.mutations.mutation import Mutation

_MANAGE_PROCESS = "workers/processes/manage_process.py"
_STOPPING = "workers/ingestion/consuming/stopping.py"
_CONSUMER = "workers/ingestion/consuming/consumer.py"
_OWNERSHIP = "workers/ingestion/consuming/ownership.py"
_WRITING = "workers/ingestion/consuming/writing.py"
_OF_OWNERSHIP = "tests/unit/consuming/test_ownership.py"
_OF_OUTAGES = "tests/unit/consuming/test_outages.py"
_OF_THE_CONSUMER = "tests/unit/consuming/test_consumer.py"
_OF_DELIVERY = "tests/unit/consuming/test_delivery.py"
_FENCES = "tests/acceptance/kills/test_fences.py"

MUTATIONS = (
    Mutation(
        name="corruption-applied",
        breaks="What a disk has changed in Kafka's log is applied as if it had been sent.",
        path="workers/kafka/member_config.py",
        old='    "check.crcs": True,',
        new='    "check.crcs": False,',
        tests=(
            "tests/acceptance/test_consume_ratings_corrupted.py"
            "::test_a_message_that_is_not_as_it_was_written_is_neither_applied_nor_passed_over",
        ),
    ),
    Mutation(
        name="corruption-passed-over",
        breaks="What cannot be read in Kafka's log is passed over with a warning.",
        path="workers/kafka/consumer.py",
        old="            case unreadable if unreadable in _UNREADABLE:\n",
        new="            case unreadable if unreadable in ():\n",
        tests=(
            "tests/acceptance/test_consume_ratings_corrupted.py"
            "::test_a_message_that_is_not_as_it_was_written_is_neither_applied_nor_passed_over",
        ),
    ),
    Mutation(
        name="loop-ends-ignored",
        breaks="A topic that ends with a transaction's marker is never caught up with.",
        path=_CONSUMER,
        old="        self._building.pass_end(fetched.ends, self._claims)\n",
        new="",
        tests=(f"{_OF_THE_CONSUMER}::test_positions_pass_what_is_no_message",),
    ),
    Mutation(
        name="loop-kept-partitions-dropped",
        breaks="A batch that loses one of its partitions takes the others down with it.",
        path=_CONSUMER,
        old="self._writer.submit(current.without(fenced.partitions))",
        new="self._writer.submit(Batch())",
        tests=(
            f"{_OF_OWNERSHIP}::test_a_batch_that_loses_a_partition_is_written_again_without_it",
            f"{_FENCES}::test_a_partition_that_is_taken_out_of_a_batch_takes_no_other_with_it[exactly-once-cooperative]",
        ),
    ),
    Mutation(
        name="loop-lost-messages-kept",
        breaks="What was fetched of a lost partition stays in the batch and is claimed once the partition is back.",
        path=_CONSUMER,
        old="        self._ownership.let_go(partitions)\n        self._building = self._building.without(partitions)\n",
        new="        self._ownership.let_go(partitions)\n",
        tests=(f"{_OF_OWNERSHIP}::test_lost_partitions_drop_what_was_being_built",),
    ),
    Mutation(
        name="loop-given-back-unnoticed",
        breaks="A partition that is revoked and given back within one fetch is read with a gap.",
        path=_CONSUMER,
        old="if epochs.get(part, claim.epoch) != claim.epoch])",
        new="if claim.epoch < 0])",
        tests=(
            f"{_OF_OWNERSHIP}"
            "::test_a_partition_that_is_revoked_and_given_back_within_one_fetch_is_read_from_where_it_stands[True]",
        ),
    ),
    Mutation(
        name="loop-fence-of-before",
        breaks="A partition that came back is let go for the fence of its former batch.",
        path=_CONSUMER,
        old="current = refused.only(self._claims)",
        new="current = refused",
        tests=(f"{_OF_OWNERSHIP}::test_a_partition_that_came_back_is_not_dropped_for_the_fence_of_its_former_batch",),
    ),
    Mutation(
        name="loop-time-not-carried",
        breaks="The running maximum of time is not carried from one batch to the next.",
        path=_CONSUMER,
        old="claim.next_offset, claim.latest_time, claim.leader_epoch = part.end, part.latest_time, part.leader_epoch",
        new="claim.next_offset, claim.leader_epoch = part.end, part.leader_epoch",
        tests=(f"{_OF_THE_CONSUMER}::test_time_in_a_partition_never_runs_backwards",),
    ),
    Mutation(
        name="loop-revoked-without-flush",
        breaks="A revocation gives up what was fetched instead of writing it first.",
        path=_CONSUMER,
        old="                self._flush(begins=self._commits_first is None)\n",
        new="                pass\n",
        tests=(f"{_OF_OWNERSHIP}::test_revoking_writes_the_batch_in_flight_and_the_one_being_built",),
    ),
    Mutation(
        name="loop-never-pauses",
        breaks="While the database is slow the memory fills with what Kafka delivers.",
        path=_CONSUMER,
        old="            (self._source.pause if held else self._source.resume)(self._claims)\n",
        new="            pass\n",
        tests=(f"{_OF_OUTAGES}::test_a_full_batch_behind_a_slow_store_stops_delivery_and_goes_on_polling",),
    ),
    Mutation(
        name="loop-joins-without-a-store",
        breaks="A consumer whose database is away keeps partitions from others.",
        path=_CONSUMER,
        old="            self._wait_for_store(finished)\n",
        new="",
        tests=(f"{_OF_OUTAGES}::test_a_consumer_joins_the_group_only_once_its_store_answers",),
    ),
    Mutation(
        name="loop-topic-unchecked-while-idle",
        breaks="A consumer of a topic that was made anew waits for ever for the old one's messages.",
        path=_CONSUMER,
        old="        self._writer.check_now_and_then()\n",
        new="",
        tests=(f"{_OF_DELIVERY}::test_a_topic_made_anew_is_noticed_though_nothing_comes",),
    ),
    Mutation(
        name="callback-raises",
        breaks="A take-over that fails raises in the rebalance callback, and Kafka's client begins where it likes.",
        path=_OWNERSHIP,
        old="except Exception as error:",
        new="except StoreUnavailable as error:",
        tests=(
            f"{_OF_OUTAGES}::test_a_missing_table_at_the_take_over_ends_the_process_though_a_callback_never_raises",
        ),
    ),
    Mutation(
        name="untaken-partition-is-read",
        breaks="A partition that could not be taken over is read all the same, from its start.",
        path=_OWNERSHIP,
        old="if partition in claims else WAITING",
        new="if partition in claims else Start(offset=0)",
        tests=(f"{_OF_OWNERSHIP}::test_a_take_over_that_fails_in_the_callback_starts_paused_and_is_made_up_for",),
    ),
    Mutation(
        name="retake-without-seek",
        breaks="A partition that is taken over again is read on from where its delivery stopped, not where it stands.",
        path=_OWNERSHIP,
        old="                self._source.seek(partition, _start(claim))\n",
        new="                pass\n",
        tests=(f"{_OF_OWNERSHIP}::test_a_fenced_partition_that_moved_on_is_read_from_where_it_stands",),
    ),
    Mutation(
        name="retake-without-limit",
        breaks="Two consumers that take a partition from each other do so for ever.",
        path=_OWNERSHIP,
        old="if self._taken_away and not self._retakes.allow():",
        new="if self._taken_away and self._retakes.allow() is None:",
        tests=(f"{_OF_OWNERSHIP}::test_the_sixth_time_in_a_minute_that_a_partition_is_taken_away_ends_the_process",),
    ),
    Mutation(
        name="retake-without-backoff",
        breaks="Two consumers that take a partition from each other do so as fast as the database can.",
        path=_OWNERSHIP,
        old="        self._taken_away = True\n        self._backoff.begin()\n",
        new="        self._taken_away = True\n",
        tests=(f"{_OF_OWNERSHIP}::test_taking_over_again_waits_longer_each_time",),
    ),
    Mutation(
        name="retake-counts-outages",
        breaks="A database that is away while a partition is taken back ends the process.",
        path=_OWNERSHIP,
        old="                self._retakes.forgive()\n",
        new="                pass\n",
        tests=(f"{_OF_OWNERSHIP}::test_re_takes_that_the_store_did_not_answer_are_not_counted",),
    ),
    Mutation(
        name="write-unchecked-topic",
        breaks="Messages of a topic that was made anew are written as if they were the old one's.",
        path=_WRITING,
        old="        self._check()\n        return self._store.prepare(batch)",
        new="        return self._store.prepare(batch)",
        tests=(f"{_OF_DELIVERY}::test_nothing_of_a_topic_made_anew_is_applied",),
    ),
    Mutation(
        name="write-outage-unsaid",
        breaks="A consumer that waits for its database looks well.",
        path=_WRITING,
        old="self.lacks_kafka = str(error), isinstance",
        new="self.lacks_kafka = None, isinstance",
        tests=(f"{_OF_OUTAGES}::test_an_outage_is_waited_out_and_told",),
    ),
    Mutation(
        name="write-repeats-lost-partitions",
        breaks="A batch that waited for the database is repeated with the partitions that were lost meanwhile.",
        path=_WRITING,
        old="self.submit(self._in_flight.only(claims))",
        new="self.submit(self._in_flight)",
        tests=(f"{_OF_OWNERSHIP}::test_a_batch_that_waits_for_the_store_is_repeated_without_a_lost_partition",),
    ),
    Mutation(
        name="supervisor-holds-up-its-processes",
        breaks="Supervised consumers stop where they are once their supervisor does not read their log lines.",
        path=_MANAGE_PROCESS,
        old="    os.set_blocking(writing, False)\n",
        new="",
        tests=("tests/integration/processes/test_manage_process.py::test_it_works_on_while_nobody_takes_its_log",),
    ),
    Mutation(
        name="stop-waits-for-each-answer",
        breaks="A stop waits ten seconds more for each question to a database that hangs.",
        path=_WRITING,
        old="(_LAST_ANSWERS_SECONDS if self._stopping.look() else _ANSWER_SECONDS)",
        new="_ANSWER_SECONDS",
        tests=(f"{_OF_OUTAGES}::test_a_stop_while_a_take_over_waits_for_the_store_waits_no_longer",),
    ),
    Mutation(
        name="stop-flushes-twice",
        breaks="A stop that comes in the midst of a rebalance gives a database that hangs the flush time twice.",
        path=_STOPPING,
        old="(self._clock.seconds() if self._since is None else self._since)",
        new="self._clock.seconds()",
        tests=(f"{_OF_OUTAGES}::test_a_stop_while_a_partition_is_revoked_gives_a_silent_store_the_flush_time_once",),
    ),
    Mutation(
        name="loop-stall-unnoticed",
        breaks="Nobody notices that nothing comes of a partition although there is more of it.",
        path=_CONSUMER,
        old="self._stalls.look(self._places)",
        new="[]",
        tests=("tests/unit/consuming/test_stalling.py::test_a_forgotten_partition_delivers_again_within_a_minute",),
    ),
    Mutation(
        name="loop-stall-behind-others",
        breaks="A partition that only waits for its turn behind others' backlog is taken over anew, again and again.",
        path=_CONSUMER,
        old="brought < _FETCH_MOST",
        new="True",
        tests=("tests/unit/consuming/test_stalling.py::test_a_partition_that_waits_behind_others_has_not_stalled",),
    ),
    Mutation(
        name="loop-stall-held",
        breaks="A partition of which nothing came while delivery was stopped is taken for stalled.",
        path=_CONSUMER,
        old="not self._held and brought",
        new="brought",
        tests=("tests/unit/consuming/test_stalling.py::test_what_comes_after_a_long_stop_of_delivery_has_not_stalled",),
    ),
    Mutation(
        name="loop-stall-wiped",
        breaks="Each look begins to count anew: behind a store that stops delivery again and again nobody ever stalls.",
        path="workers/ingestion/consuming/stalling.py",
        old="owed.get(part, self._times_dry)",
        new="self._times_dry",
        tests=(
            "tests/unit/consuming/test_stalling.py::"
            "test_a_partition_that_is_forgotten_while_the_store_is_slow_delivers_again",
        ),
    ),
    Mutation(
        name="loop-stop-awaits-commits",
        breaks="At-most-once, when it stops without Kafka, begins a batch whose commit nobody answers, and loses it.",
        path="workers/ingestion/consuming/committing.py",
        old="or self._stops_without_kafka(batch)",
        new="",
        tests=("tests/unit/consuming/test_delivery.py::test_at_most_once_that_stops_without_kafka_begins_no_batch",),
    ),
)

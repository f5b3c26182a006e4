"""Faults in the three deliveries: who is told what first, and where the next owner begins."""

from tests.mutations.mutation import Mutation

_CONSUMER = "workers/ingestion/consuming/consumer.py"
_COMMITTING = "workers/ingestion/consuming/committing.py"
_WRITING = "workers/ingestion/consuming/writing.py"
_BATCH = "workers/ingestion/consuming/batch.py"
_BEGINNING = "workers/ingestion/consuming/beginning.py"
_KAFKA = "workers/kafka/consumer.py"
_OF_DELIVERY = "tests/unit/consuming/test_delivery.py"
_OF_KAFKA = "tests/contract/test_group_consumer.py"
_KILLS = "tests/acceptance/kills/test_kills.py"
_OF_SEEKING = "tests/contract/test_group_consumer_seeking.py"
_OF_TAKING = "tests/contract/test_ingestion_store.py::test_a_take_over_goes_by_what_both_owners_promise"

MUTATIONS = (
    Mutation(
        name="at-most-once-commits-after",
        breaks="At-most-once tells Kafka after the write, so that a crash in between applies events twice.",
        path=_CONSUMER,
        old="self._first_commits() if delivery == Delivery.AT_MOST_ONCE else None",
        new="None",
        tests=(
            f"{_OF_DELIVERY}::test_at_most_once_tells_kafka_before_it_writes",
            f"{_KILLS}::test_at_most_once_writes_nothing_twice_and_counts_what_it_skips",
        ),
        options=("--kills=5",),
    ),
    Mutation(
        name="at-least-once-commits-before",
        breaks="At-least-once tells Kafka before the write, so that a crash in between loses events.",
        path=_CONSUMER,
        old="self._first_commits() if delivery == Delivery.AT_MOST_ONCE else None",
        new="self._first_commits() if delivery != Delivery.EXACTLY_ONCE else None",
        tests=(
            f"{_OF_DELIVERY}::test_the_others_tell_kafka_after_they_have_written[at-least-once]",
            f"{_KILLS}::test_at_least_once_ends_with_the_same_tables",
        ),
        options=("--kills=5",),
    ),
    Mutation(
        name="exactly-once-commits-before",
        breaks="Exactly-once tells Kafka before the write, and passes over what Kafka has not answered.",
        path=_CONSUMER,
        old="self._first_commits() if delivery == Delivery.AT_MOST_ONCE else None",
        new="self._first_commits() if delivery != Delivery.AT_LEAST_ONCE else None",
        tests=(f"{_OF_DELIVERY}::test_the_others_tell_kafka_after_they_have_written[exactly-once]",),
    ),
    Mutation(
        name="at-most-once-risks-a-batch",
        breaks="At-most-once begins, and so loses, a batch while the database is known to be away.",
        path=_COMMITTING,
        old=" or self._ownership.positions() is None:",
        new=":",
        tests=(f"{_OF_DELIVERY}::test_at_most_once_loses_nothing_to_a_store_that_went_away_before_the_batch",),
    ),
    Mutation(
        name="at-most-once-writes-what-kafka-refused",
        breaks="At-most-once writes what Kafka refused to note, and the next owner writes it again.",
        path=_COMMITTING,
        old="        self._give_up(not_committed.refused)\n",
        new="",
        tests=(f"{_OF_DELIVERY}::test_at_most_once_leaves_what_kafka_refuses_to_whoever_owns_it",),
    ),
    Mutation(
        name="at-most-once-loses-what-could-not-be-written",
        breaks="At-most-once loses a batch to a database that lacks a table, though nothing of it was written.",
        path=_COMMITTING,
        old="except (StoreNotReady, TooManyDeadLetters) as ending:",
        new="except TooManyDeadLetters as ending:",
        tests=(
            f"{_OF_DELIVERY}::test_a_database_that_is_not_as_it_must_be_costs_no_delivery_the_batch_in_hand[at-most-once]",
        ),
    ),
    Mutation(
        name="at-most-once-writes-the-unknown",
        breaks="At-most-once writes what may not be committed, and the next owner writes it again.",
        path=_COMMITTING,
        old="batch.only(self._ownership.claims).passing(not_committed.unknown)",
        new="batch.only(self._ownership.claims)",
        tests=(f"{_OF_DELIVERY}::test_at_most_once_skips_what_nobody_knows_to_be_committed",),
    ),
    Mutation(
        name="at-most-once-repeats",
        breaks="At-most-once repeats a write whose outcome is not known.",
        path=_WRITING,
        old="            if not self._repeats:\n",
        new="            if self._in_flight is None:\n",
        tests=(f"{_OF_DELIVERY}::test_at_most_once_never_repeats_a_write_and_counts_what_was_not_written",),
    ),
    Mutation(
        name="skipped-not-counted-in-a-batch",
        breaks="At-most-once does not count what it passed over while it ran.",
        path=_BATCH,
        old="        start=part.end,\n",
        new="        start=part.start,\n",
        tests=(f"{_OF_DELIVERY}::test_at_most_once_skips_what_nobody_knows_to_be_committed",),
    ),
    Mutation(
        name="skipped-not-counted-at-a-take-over",
        breaks="At-most-once does not count what a killed owner had begun and not written.",
        path=_BEGINNING,
        old="committed.leader_epoch, skipped=moved)",
        new="committed.leader_epoch)",
        tests=(
            f"{_OF_DELIVERY}::test_what_a_killed_member_had_begun_is_up_to_the_delivery[at-most-once]",
            f"{_KILLS}::test_at_most_once_writes_nothing_twice_and_counts_what_it_skips",
        ),
        options=("--kills=5",),
    ),
    Mutation(
        name="take-over-by-any-commit",
        breaks="A commit from before an operator moved the position takes it back.",
        path=_BEGINNING,
        old="if committed is None or committed.epoch != epoch:",
        new="if committed is None:",
        tests=(f"{_OF_DELIVERY}::test_an_operator_who_moves_the_position_wins_over_what_kafka_was_told",),
    ),
    Mutation(
        name="exactly-once-follows-kafka",
        breaks="Exactly-once goes back to what was committed to Kafka and applies events twice.",
        path=_BEGINNING,
        old="if former == delivery == Delivery.AT_LEAST_ONCE and moved < 0:",
        new="if delivery == Delivery.AT_LEAST_ONCE and moved < 0:",
        tests=(f"{_OF_TAKING}[memory-exactly-once-at-least-once-told0-2-0]",),
    ),
    Mutation(
        name="at-least-once-left-and-followed",
        breaks="Whoever leaves at-least-once goes back to what Kafka was told, and applies events twice.",
        path=_BEGINNING,
        old="if former == delivery == Delivery.AT_LEAST_ONCE and moved < 0:",
        new="if former == Delivery.AT_LEAST_ONCE and moved < 0:",
        tests=(f"{_OF_TAKING}[memory-at-least-once-exactly-once-told6-2-0]",),
    ),
    Mutation(
        name="at-least-once-time-kept",
        breaks="At-least-once reads on without the running maximum of time that held where it begins.",
        path=_BEGINNING,
        old="        return Beginning(committed.offset, committed.latest_time, committed.leader_epoch)\n",
        new="        return Beginning(committed.offset, leader_epoch=committed.leader_epoch)\n",
        tests=(f"{_OF_TAKING}[memory-at-least-once-at-least-once-told3-1-0]",),
    ),
    Mutation(
        name="kafka-begins-at-latest",
        breaks="A new group begins at the end of the topic and never reads what was there before.",
        path=_KAFKA,
        old="return self._watermarks(partition)[0]",
        new="return self._watermarks(partition)[1]",
        tests=(f"{_OF_KAFKA}::test_the_oldest_offset_is_told[cooperative]",),
    ),
    Mutation(
        name="kafka-jumps-silently",
        breaks="A position that the topic does not have any more is silently replaced by the end.",
        path=_KAFKA,
        old='"auto.offset.reset": "error"',
        new='"auto.offset.reset": "latest"',
        tests=(f"{_OF_KAFKA}::test_a_start_outside_the_topic_is_an_error_and_never_a_jump[cooperative-start1]",),
    ),
    Mutation(
        name="kafka-ends-untold",
        breaks="Ends of partitions are not told, so that markers at a topic's end are never passed.",
        path=_KAFKA,
        old='"enable.partition.eof": True',
        new='"enable.partition.eof": False',
        tests=(f"{_OF_KAFKA}::test_an_end_counts_what_is_no_message[cooperative]",),
    ),
    Mutation(
        name="kafka-begins-where-it-likes",
        breaks="Kafka's client begins at its own committed offset and not where the store says.",
        path=_KAFKA,
        old="TopicPartition(self._topic, partition, start.offset, leader_epoch=leader_epoch)",
        new="TopicPartition(self._topic, partition, leader_epoch=leader_epoch)",
        tests=(f"{_OF_KAFKA}::test_messages_come_from_the_starts_in_order_with_all_they_have[cooperative]",),
    ),
    Mutation(
        name="kafka-believes-any-commit",
        breaks="A position that was committed for another topic of the name is taken for ours.",
        path="workers/kafka/commits.py",
        old=" or committed_for != topic_id:",
        new=":",
        tests=("tests/unit/kafka/test_consumer_errors.py::test_a_commit_counts_only_as_one_of_this_topic_and_kind",),
    ),
    Mutation(
        name="kafka-commit-not-awaited",
        breaks="At-most-once does not wait for Kafka's answer and writes what is not committed.",
        path=_KAFKA,
        old="self._client.commit(offsets=self._commits(commits), asynchronous=False)",
        new="self._client.commit(offsets=self._commits(commits), asynchronous=True)",
        tests=("tests/unit/kafka/test_consumer_errors.py::test_a_commit_is_refused_or_unknown_or_done",),
    ),
    Mutation(
        name="kafka-refusal-unknown",
        breaks="What Kafka refuses for a rebalance counts as skipped, and the next owner applies it all the same.",
        path=_KAFKA,
        old="        ClientError.ILLEGAL_GENERATION,\n",
        new="",
        tests=("tests/unit/kafka/test_consumer_errors.py::test_a_commit_is_refused_or_unknown_or_done",),
    ),
    Mutation(
        name="kafka-waiting-start-delivers",
        breaks="A partition that could not be taken over delivers messages before it is.",
        path=_KAFKA,
        old="        self.pause(partition for partition, start in starts.items() if start.paused)\n",
        new="",
        tests=(f"{_OF_SEEKING}::test_a_start_that_only_waits_delivers_nothing_until_a_seek[cooperative]",),
    ),
    Mutation(
        name="kafka-pause-outlives-the-loss",
        breaks="A partition that was paused when it went delivers nothing when it is back, and nothing tells of it.",
        path=_KAFKA,
        old="        self.resume(partition for partition, start in starts.items() if not start.paused)\n",
        new="",
        tests=(f"{_OF_SEEKING}::test_a_partition_that_was_paused_when_it_went_delivers_when_it_is_back[cooperative]",),
    ),
    Mutation(
        name="kafka-waiting-start-fetches",
        breaks="A partition that waits for its position ends the process when the topic has lost its first messages.",
        path=_KAFKA,
        old="        self._client.position(positions)\n",
        new="",
        tests=(f"{_OF_SEEKING}::test_a_start_that_only_waits_may_lie_before_the_topics_first_offset[cooperative]",),
    ),
    Mutation(
        name="kafka-seek-undone",
        breaks="A partition waits at the topic's end, and a seek while the client asks where that is gets undone.",
        path="workers/kafka/group.py",
        old="WAITING = Start(0, paused=True)",
        new="WAITING = Start(-1, paused=True)",
        tests=(f"{_OF_SEEKING}::test_no_answer_that_was_under_way_undoes_a_seek",),
    ),
    Mutation(
        name="kafka-topic-made-anew",
        breaks="The id of a topic is not compared, so that nobody notices that it was made anew.",
        path="workers/kafka/topic_identity.py",
        old="if found != self._topic_id:",
        new='if found == "":',
        tests=(
            "tests/contract/test_group_consumer.py::test_a_topic_made_anew_is_told_from_the_one_that_it_was[cooperative]",
        ),
    ),
)

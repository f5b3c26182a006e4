"""Faults in publishing: a change that no follower hears of, or a publisher that does not know it is none any more."""

from tests.mutations.mutation import Mutation

_CHANGES = "ratings/changes.py"
_PUBLISHER = "workers/publishing/publisher.py"
_POSTGRES = "workers/publishing/postgres.py"
_TRANSACTIONS = "workers/kafka/transactions.py"
_OF_CHANGES = "tests/integration/ratings/test_changes.py"
_OF_PUBLISHERS = "tests/unit/publishing/test_publisher.py"
_OF_STORES = "tests/contract/test_shard_store.py"
_OF_PRODUCERS = "tests/contract/test_transactional_producer.py"

MUTATIONS = (
    Mutation(
        name="mark-does-nothing",
        breaks="A change while the one before it is being published is never published.",
        path=_CHANGES,
        old="ON CONFLICT (record_id) DO UPDATE SET version = greatest(standing.version, excluded.version)",
        new="ON CONFLICT (record_id) DO NOTHING",
        tests=(f"{_OF_CHANGES}::test_a_record_that_changed_again_stays_on_the_list",),
    ),
    Mutation(
        name="write-unmarked",
        breaks="Followers hear of no rating that anybody writes.",
        path="ratings/services.py",
        old='        "publishes": publishes_aggregates(),\n    }\n    ratings, differing',
        new='        "publishes": False,\n    }\n    ratings, differing',
        tests=(f"{_OF_CHANGES}::test_every_writer_marks_the_new_version",),
    ),
    Mutation(
        name="erasure-unmarked",
        breaks="Followers keep the ratings of an erased person in their aggregates.",
        path="ratings/services.py",
        old='"user_id": user_id, "publishes": publishes_aggregates()}',
        new='"user_id": user_id, "publishes": False}',
        tests=(f"{_OF_CHANGES}::test_every_writer_marks_the_new_version",),
    ),
    Mutation(
        name="mark-goes-back",
        breaks="An older mark replaces a newer one, which is then taken off unpublished.",
        path=_CHANGES,
        old="greatest(standing.version, excluded.version)",
        new="excluded.version",
        tests=(f"{_OF_CHANGES}::test_an_older_mark_never_replaces_a_newer_one",),
    ),
    Mutation(
        name="taken-off-though-changed",
        breaks="A change while the one before it was sent is taken off the list unpublished.",
        path=_CHANGES,
        old=" AND change.version <= done.version",
        new="",
        tests=(f"{_OF_CHANGES}::test_a_record_that_changed_again_stays_on_the_list",),
    ),
    Mutation(
        name="taking-off-waits",
        breaks="A publisher waits for every writer.",
        path=_CHANGES,
        old="FOR UPDATE OF change SKIP LOCKED",
        new="FOR UPDATE OF change",
        tests=(f"{_OF_CHANGES}::test_taking_off_waits_for_no_writer",),
    ),
    Mutation(
        name="published-before-sent",
        breaks="Changes are taken off the list before Kafka has them: an outage loses them.",
        path=_PUBLISHER,
        old="            producer.send([aggregate_message(change) for change in changed])\n"
        "            self.store.take_off(changed)\n",
        new="            self.store.take_off(changed)\n"
        "            producer.send([aggregate_message(change) for change in changed])\n",
        tests=(f"{_OF_PUBLISHERS}::test_while_kafka_is_away_the_shard_is_kept_and_nothing_is_lost",),
    ),
    Mutation(
        name="former-shards-unfenced",
        breaks="After the shards were counted anew a frozen publisher wakes up and sends old versions.",
        path=_PUBLISHER,
        old="        producer.open()\n        producer.close()\n",
        new="",
        tests=(f"{_OF_PUBLISHERS}::test_another_number_of_shards_waits_for_the_former_ones_and_fences_them",),
    ),
    Mutation(
        name="topic-made-anew-unfilled",
        breaks="A topic that is made anew while it is published holds only what changes later.",
        path=_PUBLISHER,
        old="if self.owns and self._topic is not None and self._topic.topic_id != topic.topic_id:",
        new="if self.owns and self._topic is None:",
        tests=(f"{_OF_PUBLISHERS}::test_a_topic_made_anew_ends_it_and_the_next_one_fills_it",),
    ),
    Mutation(
        name="zombie-reopens",
        breaks="A publisher that was fenced takes the shard back from its heir.",
        path=_PUBLISHER,
        old="        try:\n            self.store.check()\n        except ShardLost:\n            raise TakenOver(",
        new="        try:\n            pass\n        except ShardLost:\n            raise TakenOver(",
        tests=(f"{_OF_PUBLISHERS}::test_a_zombie_that_passed_its_last_check_commits_nothing_and_ends",),
    ),
    Mutation(
        name="front-starves-the-rest",
        breaks="Records at the front that always change keep all others from being published.",
        path=_PUBLISHER,
        old="            self._after = changed[-1].number\n",
        new="            self._after = 0\n",
        tests=(f"{_OF_PUBLISHERS}::test_records_at_the_front_that_always_change_do_not_keep_the_others_waiting",),
    ),
    Mutation(
        name="shard-without-lock",
        breaks="Two publishers of one shard send versions out of order.",
        path=_POSTGRES,
        old="                if _is_true(cursor, _TRY, shard):\n",
        new="                if shard:\n",
        tests=(f"{_OF_STORES}::test_one_holder_at_a_time[postgres]",),
    ),
    Mutation(
        name="silent-publisher-keeps-its-shard",
        breaks="A publisher whose machine is gone keeps its shard until TCP gives up.",
        path=_POSTGRES,
        old="                self._introduce(self._connection)\n",
        new="",
        tests=(f"{_OF_STORES}::TestPostgres::test_a_holder_that_is_silent_loses_the_shard",),
    ),
    Mutation(
        name="new-topic-unfilled",
        breaks="A new topic holds only what changes after it was made.",
        path=_POSTGRES,
        old="        self._marked = 0\n        return self._fill(cursor, topic, layout)",
        new="        return self._finish(cursor, topic, layout)",
        tests=(f"{_OF_STORES}::test_a_new_topic_is_filled_with_what_changed_before[postgres]",),
    ),
    Mutation(
        name="record-keys-clash",
        breaks="Two records share a key in the compacted topic, which keeps one of them only.",
        path="workers/publishing/messages.py",
        old='.replace(":", "%3A")',
        new="",
        tests=("tests/unit/publishing/test_messages.py::test_a_colon_in_a_type_does_not_make_it_another_record",),
    ),
    Mutation(
        name="producer-unfenced",
        breaks="A paused publisher commits when it wakes up: its name in Kafka is not that of its heir.",
        path=_TRANSACTIONS,
        old='"transactional.id": self._id}',
        new='"transactional.id": f"{self._id}-{id(self)}"}',
        tests=(f"{_OF_PRODUCERS}::test_who_lost_the_name_after_its_last_check_commits_nothing[kafka]",),
    ),
    Mutation(
        name="producer-unchecked",
        breaks="A publisher that has lost its lock commits what it had begun.",
        path=_TRANSACTIONS,
        old="        self._check()\n        self._repeated(client, client.commit_transaction, deadline=deadline)",
        new="        self._repeated(client, client.commit_transaction, deadline=deadline)",
        tests=(f"{_OF_PRODUCERS}::test_an_objection_right_before_the_commit_leaves_nothing[kafka]",),
    ),
)

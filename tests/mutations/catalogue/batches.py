"""Faults in what a batch takes, at which time, and which offsets it stands for."""

from tests.mutations.mutation import Mutation

_BATCH = "workers/ingestion/consuming/batch.py"
_EVENTS = "ratings/events.py"
_OF_BATCHES = "tests/unit/consuming/test_batch.py"
_OF_THE_CONSUMER = "tests/unit/consuming/test_consumer.py"
_KILLS = "tests/acceptance/kills/test_kills.py"
_POISON = "tests/acceptance/test_consume_ratings_poison.py"

MUTATIONS = (
    Mutation(
        name="event-delete-as-put",
        breaks="A delete is read as a put of its value.",
        path=_EVENTS,
        old='if wire.event_type == "delete":',
        new='if wire.event_type == "delete" and wire.rating_value is None:',
        tests=("tests/unit/ratings/test_events.py::test_what_is_accepted",),
    ),
    Mutation(
        name="event-escapes-unchecked",
        breaks="An escaped NUL character comes through the fast path and is refused by Postgres only.",
        path=_EVENTS,
        old='and b"\\\\u" in payload:',
        new='and b"\\\\U" in payload:',
        tests=("tests/unit/ratings/test_events.py::test_a_refused_id_is_named_with_its_reason",),
    ),
    Mutation(
        name="event-two-values",
        breaks="A put of two different values is taken for the first of them.",
        path=_EVENTS,
        old='    if value is not None and tenths_of(value, field="value") != tenths:\n',
        new='    if value is not None and tenths_of(value, field="value") < 0:\n',
        tests=(
            "tests/unit/ratings/test_events.py::test_what_is_refused[both, unequal]",
            f"{_POISON}::test_ten_thousand_random_mutations_are_each_applied_or_one_dead_letter",
        ),
    ),
    Mutation(
        name="event-true-is-one",
        breaks="True and false are taken for the ratings 1 and 0.",
        path=_EVENTS,
        old="    if isinstance(value, int | float) and not isinstance(value, bool):\n        tenths =",
        new="    if isinstance(value, int | float):\n        tenths =",
        tests=("tests/unit/ratings/test_events.py::test_what_is_refused[true as value]",),
    ),
    Mutation(
        name="batch-time-runs-backwards",
        breaks="A late stamp in a partition takes a rating back: the running maximum of time is forgotten.",
        path=_BATCH,
        old="                add_time(latest_time)\n",
        new="                add_time(milliseconds * 1000)\n",
        tests=(
            f"{_OF_THE_CONSUMER}::test_time_in_a_partition_never_runs_backwards",
            f"{_KILLS}::test_exactly_once_ends_with_each_event_counted_once[cooperative]",
        ),
        options=("--kills=6",),
    ),
    Mutation(
        name="batch-time-begins-anew",
        breaks="The running maximum of time begins anew with each batch.",
        path=_BATCH,
        old="latest_time=claim.latest_time,",
        new="latest_time=0,",
        tests=(
            f"{_OF_THE_CONSUMER}::test_time_in_a_partition_never_runs_backwards",
            f"{_KILLS}::test_exactly_once_ends_with_each_event_counted_once[cooperative]",
        ),
        options=("--kills=6",),
    ),
    Mutation(
        name="batch-time-ahead",
        breaks="A stamp in the future is kept, so that no later write of the rating counts for years.",
        path=_BATCH,
        old="if time > now or kind == _NO_TIME:",
        new="if kind == _NO_TIME:",
        tests=(f"{_OF_THE_CONSUMER}::test_time_never_runs_ahead_of_the_consumers_clock",),
    ),
    Mutation(
        name="batch-no-time",
        breaks="A message without a time counts as one of 1970 and loses to everything.",
        path=_BATCH,
        old="if time > now or kind == _NO_TIME:",
        new="if time > now:",
        tests=(f"{_OF_BATCHES}::test_a_time_that_the_broker_did_not_give_is_now",),
    ),
    Mutation(
        name="batch-offset-twice",
        breaks="A message that is delivered twice, or left over from before a seek, is taken twice.",
        path=_BATCH,
        old="            if offset < end:\n                continue\n",
        new="",
        tests=(f"{_OF_BATCHES}::test_an_offset_counts_once",),
    ),
    Mutation(
        name="batch-unclaimed",
        breaks="Messages of a partition that was not taken over in the store are written all the same.",
        path=_BATCH,
        old="            if claim is None:\n                return None\n            part = Slice(",
        new="            claim = claim or Claim(1, 0)\n            part = Slice(",
        tests=(f"{_OF_BATCHES}::test_partitions_that_are_not_claimed_are_dropped_in_between",),
    ),
    Mutation(
        name="batch-end-goes-back",
        breaks="An end that was told before the last messages sets the position back behind them.",
        path=_BATCH,
        old="if end > (standing.end if standing else claim.next_offset):",
        new="if end >= 0:",
        tests=(f"{_OF_BATCHES}::test_an_end_never_goes_back",),
    ),
    Mutation(
        name="batch-old-epoch-kept",
        breaks="What was fetched under a former epoch is taken for the present owner's.",
        path=_BATCH,
        old="if part.partition not in claims or claims[part.partition].epoch != part.epoch",
        new="if part.partition not in claims",
        tests=(f"{_OF_BATCHES}::test_messages_and_bytes_are_those_of_the_slices_that_are_left",),
    ),
    Mutation(
        name="batch-partitions-unsorted",
        breaks="Two consumers lock the offsets of their partitions in different orders.",
        path=_BATCH,
        old="for partition in sorted(self._slices)]",
        new="for partition in self._slices]",
        tests=(f"{_OF_BATCHES}::test_slices_come_in_the_order_of_their_partitions",),
    ),
    Mutation(
        name="batch-bytes-uncounted",
        breaks="A batch of huge messages grows until the memory is full.",
        path=_BATCH,
        old="                size += len(value)\n",
        new="                pass\n",
        tests=(f"{_OF_THE_CONSUMER}::test_a_batch_is_full_by_bytes_too",),
    ),
    Mutation(
        name="letter-without-headers",
        breaks="A dead letter loses the headers of its message.",
        path=_BATCH,
        old="headers=headers or (),",
        new="headers=(),",
        tests=(f"{_OF_BATCHES}::test_a_message_that_is_no_event_is_kept_verbatim",),
    ),
    Mutation(
        name="letter-without-key",
        breaks="A dead letter loses the key of its message.",
        path=_BATCH,
        old="        key=message.key(),\n",
        new="        key=None,\n",
        tests=(f"{_OF_BATCHES}::test_a_message_that_is_no_event_is_kept_verbatim",),
    ),
)

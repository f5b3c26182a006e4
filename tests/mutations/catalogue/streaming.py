"""Faults in streams of ratings: what is acknowledged, rejected or told to a watcher, and what ends a stream."""

from tests.mutations.mutation import Mutation

_SERVICERS = "ratings/servicers.py"
_STREAMING = "ratings/streaming.py"
_INBOX = "ratings/inbox.py"
_OPEN_STREAMS = "movieapp/rpc/open_streams.py"
_WATCHING = "ratings/watching.py"
_POSTGRES = "ratings/postgres_watching.py"
_PROCESS = "movieapp/catalogue/serving/process.py"
_CORE_OPTIONS = "movieapp/catalogue/serving/core_options.py"
_OF_STREAMS = "tests/unit/ratings/test_streaming.py"
_OF_OPEN_STREAMS = "tests/unit/rpc/test_open_streams.py"
_OF_WATCHES = "tests/unit/ratings/test_watching.py"
_OF_READERS = "tests/contract/test_aggregate_reader.py"
_OF_PUTS = "tests/integration/rpc/test_put_ratings.py"
_OF_WATCHING = "tests/integration/rpc/test_watch_aggregate.py"

MUTATIONS = (
    Mutation(
        name="ack-before-commit",
        breaks="A client is told that its events are written when the server may still lose them.",
        path=_SERVICERS,
        old="                    yield batch_message(ratings.write(events))\n",
        new="""                    yield rating_pb2.PutRatingsResponse(received=len(events))
                    ratings.write(events)
""",
        tests=(f"{_OF_PUTS}::test_an_outage_ends_the_stream_and_what_was_acknowledged_stands",),
    ),
    Mutation(
        name="rejected-index-of-batch",
        breaks="From the second batch on a client mends events that were right, and leaves those that were not.",
        path=_STREAMING,
        old="enumerate(events, self._received)",
        new="enumerate(events)",
        tests=(f"{_OF_STREAMS}::test_what_is_not_valid_is_named_by_its_place_in_the_stream",),
    ),
    Mutation(
        name="refused-event-sinks-its-batch",
        breaks="One event that a rule of the database refuses takes up to 999 others with it.",
        path=_STREAMING,
        old="        if len(events) == 1:\n",
        new="        if events:\n",
        tests=(f"{_OF_STREAMS}::test_what_the_database_refuses_is_found_and_the_rest_written_in_order",),
    ),
    Mutation(
        name="halves-out-of-order",
        breaks="Where one event of a batch is refused, an older rating of the same person may replace a newer one.",
        path=_STREAMING,
        old="self._refused(events[:middle]) + self._refused(events[middle:])",
        new="self._refused(events[middle:]) + self._refused(events[:middle])",
        tests=(f"{_OF_STREAMS}::test_what_the_database_refuses_is_found_and_the_rest_written_in_order",),
    ),
    Mutation(
        name="held-lock-ends-the-stream",
        breaks="Beside a consumer, a stream ends whenever it has to wait two seconds for a record.",
        path=_STREAMING,
        old='frozenset({"55P03", "40P01"})',
        new="frozenset()",
        tests=(f"{_OF_STREAMS}::test_a_lock_that_is_held_too_long_is_waited_for_again",),
    ),
    Mutation(
        name="stream-numbers-outlive-connection",
        breaks="After a restore of the database a stream writes under numbers that are other people's.",
        path=_STREAMING,
        old="            self._interner.forget()\n",
        new="",
        tests=(f"{_OF_STREAMS}::test_numbers_are_kept_for_the_stream_and_forgotten_with_its_connection",),
    ),
    Mutation(
        name="inbox-without-bound",
        breaks="A client that sends faster than the database writes fills the server's memory.",
        path=_INBOX,
        old="self._is_closed or self._held + len(batch) <= self._most",
        new="True",
        tests=(f"{_OF_STREAMS}::test_an_inbox_that_is_full_holds_whoever_fills_it",),
    ),
    Mutation(
        name="idle-stream-kept",
        breaks="Clients that open streams and say nothing take all places for streams.",
        path=_INBOX,
        old="self._is_woken, self._idle)",
        new="self._is_woken)",
        tests=(f"{_OF_PUTS}::test_a_client_that_says_nothing_is_not_kept",),
    ),
    Mutation(
        name="unread-stream-kept",
        breaks="Clients that never read their answers take all places for streams.",
        path=_OPEN_STREAMS,
        old="        self._is_left = True\n        self._cancel()\n",
        new="        self._is_left = True\n",
        tests=(f"{_OF_OPEN_STREAMS}::test_an_answer_that_is_not_taken_ends_its_stream",),
    ),
    Mutation(
        name="left-watch-kept",
        breaks="A watch whose client has gone goes on until its record changes.",
        path=_OPEN_STREAMS,
        old="        return not self._is_left\n",
        new="        return True\n",
        tests=(
            f"{_OF_OPEN_STREAMS}::test_one_whose_client_goes_is_woken_and_does_not_go_on",
            f"{_OF_WATCHING}::test_a_client_that_goes_or_whose_deadline_is_over_leaves_nothing_behind",
        ),
    ),
    Mutation(
        name="deaf-stream-holds-the-stop",
        breaks="One reflection client, as every tool is, keeps a server from ending for the whole grace.",
        path=_OPEN_STREAMS,
        old="            self._wake()\n        else:\n            self._cancel()\n",
        new="            self._wake()\n",
        tests=(
            f"{_OF_OPEN_STREAMS}::test_a_stop_cancels_one_that_nobody_can_wake",
            "tests/integration/rpc/test_streams_end.py::test_reflection_is_ended_too",
        ),
    ),
    Mutation(
        name="frozen-server-blind",
        breaks="After a pause of the machine every watch ends, and all watchers come anew at once.",
        path=_WATCHING,
        old="            if self._is_blind:\n                raise WatchBlind(",
        new="            if self:\n                raise WatchBlind(",
        tests=(f"{_OF_WATCHES}::test_a_process_that_was_frozen_looks_before_it_says_so",),
    ),
    Mutation(
        name="hanging-client-kept",
        breaks="What a client watched that has vanished without a word is looked at for hours.",
        path=_CORE_OPTIONS,
        old='    ("grpc.http2.ping_timeout_ms", 20_000),\n',
        new="",
        tests=(f"{_OF_WATCHING}::test_a_client_that_hangs_is_not_kept",),
    ),
    Mutation(
        name="streams-hold-the-server",
        breaks="A server with open streams takes the whole grace to end, and its clients are told nothing.",
        path=_PROCESS,
        old="        resources.streams.stop()\n",
        new="",
        tests=("tests/integration/rpc/test_streams_end.py::test_both_kinds_are_told_and_nothing_stays",),
    ),
    Mutation(
        name="watch-registers-after-read",
        breaks="A change between the first state of a watch and its first look is never told.",
        path=_WATCHING,
        old="self._newcomers.intersection(newcomers)",
        new="list(self._newcomers)",
        tests=(f"{_OF_WATCHES}::test_a_change_between_opening_and_the_first_look_is_in_it",),
    ),
    Mutation(
        name="watch-leaks",
        breaks="Every record that was ever watched is looked at four times a second until the server ends.",
        path=_WATCHING,
        old="                        del self._watched[record]\n",
        new="                        pass\n",
        tests=(f"{_OF_WATCHES}::test_nothing_stays_of_a_watch_that_is_over",),
    ),
    Mutation(
        name="watches-without-bound",
        breaks="A few clients have the server read all aggregates four times a second.",
        path=_WATCHING,
        old="            if len(self._watched) + strangers > self._most:\n",
        new="            if strangers > self._most:\n",
        tests=(f"{_OF_WATCHES}::test_as_many_records_as_it_may_have_and_no_more",),
    ),
    Mutation(
        name="blind-watch-silent",
        breaks="While the database is away a watcher believes that nothing changes.",
        path=_WATCHING,
        old="        if not states and self._seconds()",
        new="        if states and self._seconds()",
        tests=(f"{_OF_WATCHES}::test_a_watch_says_when_it_sees_nothing",),
    ),
    Mutation(
        name="one-fault-ends-all-looks",
        breaks="One failed look, and no watch of the process is told anything again.",
        path=_WATCHING,
        old='        except Exception:\n            log.exception("watched_aggregates_failed")\n',
        new="",
        tests=(f"{_OF_WATCHES}::test_a_fault_in_one_look_does_not_end_the_others",),
    ),
    Mutation(
        name="watch-compares-greater",
        breaks="After a restore of the database watchers keep values that are not there any more.",
        path=_POSTGRES,
        old="aggregate.version <> watched.version",
        new="aggregate.version > watched.version",
        tests=(f"{_OF_READERS}::test_a_version_ahead_of_the_tables_is_another_one",),
    ),
    Mutation(
        name="watched-numbers-outlive-connection",
        breaks="After a restore of the database a watcher is told of other records.",
        path=_POSTGRES,
        old="        self._numbers.clear()\n",
        new="",
        tests=(f"{_OF_READERS}::test_numbers_are_looked_up_anew_on_a_new_connection",),
    ),
)

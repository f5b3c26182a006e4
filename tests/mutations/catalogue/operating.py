"""Faults in what people see and steer: progress, lag, several processes, the admin."""

from tests.mutations.mutation import Mutation

_PROGRESS = "workers/ingestion/consuming/progress.py"
_SUPERVISING = "workers/processes/supervising.py"
_OF_SUPERVISING = "tests/unit/processes/test_supervising.py"
_OF_PROGRESS = "tests/unit/consuming/test_progress_log.py"
_OF_ADMIN = "tests/integration/test_admin_dead_letters_settled.py"

MUTATIONS = (
    Mutation(
        name="outage-of-kafka-untold",
        breaks="While Kafka is away a consumer says that it has nothing to do and waits for nothing.",
        path=_PROGRESS,
        old="consumer.waiting_for or kafka_is_away or",
        new="consumer.waiting_for or",
        tests=(f"{_OF_PROGRESS}::test_while_kafka_does_not_answer_that_is_said_and_no_lag",),
    ),
    Mutation(
        name="lag-of-what-is-known",
        breaks="A consumer whose ends nobody knows says that it is not behind.",
        path=_PROGRESS,
        old="    if not settled or not settled.keys() <= ends.keys():\n        return None\n",
        new="    ends = {**settled, **ends}\n",
        tests=(f"{_OF_PROGRESS}::test_the_lag_is_told_once_all_ends_are_known",),
    ),
    Mutation(
        name="caught-up-too-early",
        breaks="--until-caught-up ends when one partition has been read and the others have not.",
        path=_PROGRESS,
        old="self.reached = all(",
        new="self.reached = any(",
        tests=(f"{_OF_PROGRESS}::test_caught_up_is_when_every_partition_has_passed_the_end_that_it_had",),
    ),
    Mutation(
        name="error-of-one-goes-on",
        breaks="One of several processes fails and nobody is told: a part of the topic is read no more.",
        path=_SUPERVISING,
        old="        elif code > 0:\n",
        new="        elif code > 1_000:\n",
        tests=(f"{_OF_SUPERVISING}::test_one_that_ends_with_an_error_ends_all_with_its_code",),
    ),
    Mutation(
        name="restarted-for-ever",
        breaks="A process that is killed again and again is started again for ever.",
        path=_SUPERVISING,
        old="if len(deaths) > _DEATHS_ALLOWED:",
        new="if len(deaths) > _DEATHS_ALLOWED * 1_000:",
        tests=(f"{_OF_SUPERVISING}::test_pauses_double_and_the_sixth_death_within_a_minute_ends_all",),
    ),
    Mutation(
        name="frozen-one-kept",
        breaks="A frozen worker keeps its share of the connections, and each of them waits for nothing.",
        path=_SUPERVISING,
        old="> _SILENCE and",
        new="> _SILENCE * 1_000 and",
        tests=(f"{_OF_SUPERVISING}::test_one_that_gives_no_sign_of_life_any_more_is_killed_and_started_again",),
    ),
    Mutation(
        name="pause-taken-for-silence",
        breaks="A machine that wakes up kills all workers.",
        path="workers/processes/signs.py",
        old="(has_paused and self._last is not None)",
        new="(has_paused and self._last is None)",
        tests=("tests/unit/processes/test_signs.py::test_a_pause_in_which_nobody_looked_is_nobodys_silence",),
    ),
    Mutation(
        name="started-while-all-stop",
        breaks="A process is started again after all were told to stop, and outlives its supervisor.",
        path=_SUPERVISING,
        old="            self._due.clear()\n",
        new="",
        tests=(f"{_OF_SUPERVISING}::test_nothing_is_started_again_once_all_are_to_stop",),
    ),
    Mutation(
        name="orphans-live-on",
        breaks="The processes of a supervisor that was killed consume on, with nobody to stop them.",
        path="workers/shutdown.py",
        old="self.signal is not None or os.getppid() != self._parent",
        new="self.signal is not None or os.getppid() == 0",
        tests=(
            "tests/acceptance/test_consume_ratings_processes.py"
            "::test_no_process_outlives_its_killed_supervisor_and_nothing_is_lost",
        ),
    ),
    Mutation(
        name="watch-swallows-errors",
        breaks="--until-caught-up waits for ever where the database is not as it must be.",
        path="workers/ingestion/consuming/watching.py",
        old="            raise self._error\n",
        new="            return None\n",
        tests=(
            "tests/unit/consuming/test_watching.py"
            "::test_what_waiting_does_not_mend_is_raised_where_the_positions_are_asked_for[error0]",
        ),
    ),
    Mutation(
        name="static-names-shared",
        breaks="Several processes of one command take each other for the same static member.",
        path="workers/ingestion/consuming/sharing.py",
        old="--group-instance-id={instance}-{number}",
        new="--group-instance-id={instance}",
        tests=("tests/unit/consuming/test_sharing.py::test_a_static_name_of_the_environment_is_made_one_for_each",),
    ),
    Mutation(
        name="lag-of-the-unbegun",
        breaks="The lag of a partition that is not begun counts messages that were deleted long ago.",
        path="workers/ingestion/positions/lag.py",
        old="(self.first if self.position is None else self.position)",
        new="(self.position or 0)",
        tests=("tests/unit/positions/test_lag_output.py::test_lag_and_state_follow_from_the_offsets",),
    ),
    Mutation(
        name="admin-settles-what-came-later",
        breaks="A person who confirms to discard all that match discards letters that nobody has seen.",
        path="workers/ingestion/admin/selected.py",
        old="confirmed, time.monotonic()",
        new="latest_id(letters), time.monotonic()",
        tests=(f"{_OF_ADMIN}::test_all_that_match_are_settled_a_part_at_a_time_without_what_came_after_the_question",),
    ),
    Mutation(
        name="admin-settles-unseen",
        breaks="Nobody can tell who replayed or discarded the letters that were ticked together.",
        path="workers/ingestion/admin/selected.py",
        old="        if done:\n",
        new="        if not done:\n",
        tests=(f"{_OF_ADMIN}::test_who_settled_which_is_in_the_log_of_the_admin",),
    ),
    Mutation(
        name="admin-anybody-discards",
        breaks="Who may only replay letters may discard them too.",
        path="workers/ingestion/admin/single.py",
        old="    if not model_admin.has_discard_permission(request):\n",
        new="    if not model_admin.has_view_permission(request):\n",
        tests=(f"{_OF_ADMIN}::test_each_permission_is_for_one_thing[change-replay-discard]",),
    ),
)

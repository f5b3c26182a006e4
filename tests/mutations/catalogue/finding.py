"""Faults in how servers are found: who is listed, who is believed alive, who is called, and what an outage does."""

from tests.mutations.mutation import Mutation

_REGISTRAR = "workers/discovery/registrar.py"
_KNOWN = "workers/discovery/known.py"
_ETCD = "workers/discovery/etcd.py"
_OF_THE_REGISTRAR = "tests/unit/discovery/test_registrar.py"
_OF_THE_KNOWN = "tests/unit/discovery/test_known.py"
_CONTRACT = "tests/contract/test_registry.py"
_CHANNELS = "workers/discovery/channels.py"
_NAMES = "workers/discovery/names.py"
_BACKENDS = "workers/discovery/backends.py"
_ENVIRONMENT = "movieapp/environment.py"
_CLIENTS = "movieapp/catalogue/clients.py"
_DETAILS = "movieapp/catalogue/grpc_details.py"
_REGISTRATION = "movieapp/catalogue/serving/registration.py"
_PROCESS = "movieapp/catalogue/serving/process.py"
_OWN_HEALTH = "movieapp/catalogue/serving/own_health.py"
_HEALTH = "movieapp/rpc/health.py"
_ADDRESSES = "workers/discovery/addresses.py"
_HOSTS = "movieapp/hosts.py"
_CREDENTIALS = "movieapp/rpc/credentials.py"
_OF_ENTRIES = "tests/unit/discovery/test_entries.py"
_OF_TLS = "tests/integration/rpc/test_tls.py"
_OF_CHANNELS = "tests/unit/discovery/test_channels.py"
_OF_NAMES = "tests/unit/discovery/test_names.py"
_OF_BACKENDS = "tests/unit/discovery/test_backends.py"
_OF_INSTANCES = "tests/unit/discovery/test_instances.py"
_OF_THE_ENVIRONMENT = "tests/unit/test_environment.py"
_OF_CLIENTS = "tests/unit/rpc/test_clients.py"
_OF_PARTS = "tests/integration/rpc/test_partial_details.py"
_OF_REGISTRATION = "tests/integration/rpc/test_registration.py"
_OF_HEALTH = "tests/unit/rpc/test_health_servicer.py"

MUTATIONS = (
    Mutation(
        name="heartbeat-without-health",
        breaks="A server that hangs keeps itself listed, and callers keep being sent to it.",
        path=_REGISTRAR,
        old="            if not self._healthy():\n",
        new="            if not self._healthy() and not self.is_registered:\n",
        tests=(f"{_OF_THE_REGISTRAR}::test_who_falls_ill_drops_out_within_a_ttl_and_comes_back",),
    ),
    Mutation(
        name="lease-not-renewed-anew",
        breaks="After the registry has forgotten an instance, by a wipe or an outage, nobody finds it until a restart.",
        path=_REGISTRAR,
        old="            except NotRegistered:\n                self.is_registered = False\n",
        new="            except NotRegistered:\n                pass\n",
        tests=(
            f"{_OF_THE_REGISTRAR}::test_a_registry_that_has_forgotten_it_is_told_again_in_the_same_turn",
            f"{_OF_THE_REGISTRAR}::test_who_falls_ill_drops_out_within_a_ttl_and_comes_back",
        ),
    ),
    Mutation(
        name="deregister-beside-a-turn",
        breaks="A server that stops while it registers stays listed for a TTL after its end.",
        path=_REGISTRAR,
        old="        with self._turning:\n            if was_stopped",
        new="        if self._turning:\n            if was_stopped",
        tests=(f"{_OF_THE_REGISTRAR}::test_a_stop_during_a_turn_leaves_nobody_registered",),
    ),
    Mutation(
        name="deregister-only-if-sure",
        breaks="A registration whose answer was lost is left behind when the server stops.",
        path=_REGISTRAR,
        old="            if was_stopped or not self._may_be_registered:\n",
        new="            if was_stopped or not self.is_registered:\n",
        tests=(f"{_OF_THE_REGISTRAR}::test_a_registration_whose_answer_was_lost_is_taken_back_by_stop",),
    ),
    Mutation(
        name="deregister-another",
        breaks="A server that stops takes all others of its service off the registry.",
        path=_ETCD,
        old="rpc.DeleteRangeRequest(key=_key(instance))",
        new="rpc.DeleteRangeRequest(key=_PREFIX.encode(), range_end=_end_of(_PREFIX.encode()))",
        tests=(f"{_CONTRACT}::test_one_deregisters_only_oneself[etcd]",),
    ),
    Mutation(
        name="key-of-a-lease-unasked",
        breaks="An instance whose key somebody deleted in etcd is never found again, while its heartbeats go on.",
        path=_ETCD,
        old=" and bool(found.count)",
        new="",
        tests=(f"{_CONTRACT}::TestEtcd::test_a_key_that_somebody_deleted_is_put_again",),
    ),
    Mutation(
        name="reset-unnoticed",
        breaks="A wiped etcd, which has the same cluster id, is taken for one whose instances have all gone.",
        path=_ETCD,
        old=" or now.revision < self.revision",
        new="",
        tests=(f"{_CONTRACT}::TestAway::test_a_frozen_one_is_unavailable_and_a_wiped_one_was_reset[etcd]",),
    ),
    Mutation(
        name="compaction-ends-the-watch-for-ever",
        breaks="A watch that etcd cancels for a compaction counts as an outage, again and again on a busy cluster.",
        path=_ETCD,
        old="if answer.canceled and not answer.compact_revision:",
        new="if answer.canceled:",
        tests=(f"{_CONTRACT}::TestEtcd::test_a_watch_from_a_revision_that_was_compacted_ends_at_once",),
    ),
    Mutation(
        name="failing-instances-listed",
        breaks="Consul's instances are called although their checks fail.",
        path="workers/discovery/consul.py",
        old="passing=True",
        new="passing=False",
        tests=(
            f"{_CONTRACT}::TestConsul::test_who_fails_another_check_is_not_called",
            f"{_CONTRACT}::test_who_is_silent_for_a_ttl_drops_out_and_may_come_back[consul]",
        ),
    ),
    Mutation(
        name="empty-list-believed",
        breaks="A registry that comes back empty takes all instances away from its clients until each has registered.",
        path=_KNOWN,
        old="        if was_away or look.was_reset:\n",
        new="        if look.was_reset:\n",
        tests=(f"{_OF_THE_KNOWN}::test_who_is_missing_is_given_up_one_ttl_later[after an outage]",),
    ),
    Mutation(
        name="reset-believed",
        breaks="A registry that begins anew between two looks takes all instances away from its clients.",
        path=_KNOWN,
        old="        if was_away or look.was_reset:\n",
        new="        if was_away:\n",
        tests=(f"{_OF_THE_KNOWN}::test_who_is_missing_is_given_up_one_ttl_later[after a reset]",),
    ),
    Mutation(
        name="stand-still-believed",
        breaks="A registry that was frozen for a moment takes all instances away from its clients.",
        path=_KNOWN,
        old="        elif stood_still and not self._doubted:",
        new="        elif stood_still and look.was_reset:",
        tests=(f"{_OF_THE_KNOWN}::TestStandingStill::test_who_is_missing_is_given_up_one_ttl_later",),
    ),
    Mutation(
        name="look-after-it-believed",
        breaks="Whom a registry that was frozen takes off a moment after it goes on is not called.",
        path=_KNOWN,
        old="stood_still=stood_still or self._stood_still)",
        new="stood_still=stood_still)",
        tests=(f"{_OF_THE_KNOWN}::TestStandingStill::test_who_is_missing_is_given_up_one_ttl_later[in the next]",),
    ),
    Mutation(
        name="slow-for-good-doubted-for-good",
        breaks="Where the registry is always slow, who died is called for ever.",
        path=_KNOWN,
        old="        elif stood_still and not self._doubted:",
        new="        elif stood_still:",
        tests=(f"{_OF_THE_KNOWN}::TestStandingStill::test_one_that_is_always_slow_loses_those_who_died_nevertheless",),
    ),
    Mutation(
        name="doubt-without-an-end",
        breaks="Who died while the registry was away is called for ever.",
        path=_KNOWN,
        old="        if self._clock.seconds() >= self._doubted_until:\n",
        new="        if self._clock.seconds() < self._doubted_until - self._ttl:\n",
        tests=(f"{_OF_THE_KNOWN}::test_who_is_missing_is_given_up_one_ttl_later",),
    ),
    Mutation(
        name="doubt-outlives-the-proof",
        breaks="Who was seen again after an outage, and stops then, is called for the rest of a TTL.",
        path=_KNOWN,
        old="if (one.host, one.port) not in back)",
        new="if one.host)",
        tests=(
            f"{_OF_THE_KNOWN}::test_who_has_come_back_and_then_leaves_is_gone_at_once",
            f"{_OF_THE_KNOWN}::test_who_was_started_anew_at_its_address_takes_the_former_ones_place",
        ),
    ),
    Mutation(
        name="known-forgotten-in-an-outage",
        breaks="An outage of the registry is one of all services.",
        path=_KNOWN,
        old="            self._mark = None\n",
        new="            self._mark = None\n            self._set(_NOBODY)\n",
        tests=(f"{_OF_THE_KNOWN}::test_the_last_known_set_stays_while_the_registry_is_away",),
    ),
    Mutation(
        name="old-channel-closed-at-once",
        breaks="Each time that an instance comes or goes, the calls under way are cut off.",
        path=_CHANNELS,
        old="self._clock.seconds() + self._longest_deadline + _SLACK",
        new="self._clock.seconds()",
        tests=(f"{_OF_CHANNELS}::test_a_former_channel_is_closed_when_no_call_can_be_on_it_any_more",),
    ),
    Mutation(
        name="channel-swapped-before-ready",
        breaks="Each time that an instance comes or goes, calls wait for connections that are only being made.",
        path=_CHANNELS,
        old="        _wait_until_ready(channel)\n        return channel\n",
        new="        self._swap(channel, wanted)\n        _wait_until_ready(channel)\n        return channel\n",
        tests=(f"{_OF_CHANNELS}::test_a_new_channel_is_swapped_in_only_once_it_is_ready",),
    ),
    Mutation(
        name="name-looked-up-once",
        breaks="A server that is started again at another address under its name is not found until clients restart.",
        path=_CHANNELS,
        old="        if self._clock.seconds() >= self._next_look:\n",
        new="        if self._fault and self._clock.seconds() >= self._next_look:\n",
        tests=(f"{_OF_CHANNELS}::TestNames::test_a_name_that_moves_is_followed",),
    ),
    Mutation(
        name="addresses-lost-with-the-resolver",
        breaks="An outage of the name service is one of all services.",
        path=_NAMES,
        old="found or before or ()",
        new="found",
        tests=(f"{_OF_CHANNELS}::TestNames::test_a_resolver_that_is_away_changes_nothing",),
    ),
    Mutation(
        name="slow-name-waited-for",
        breaks="A name that the resolver takes long over keeps clients from seeing who comes and goes.",
        path=_NAMES,
        old="    threading.Thread(target=task, name=name, daemon=True).start()\n",
        new="    task()\n",
        tests=(f"{_OF_NAMES}::test_nobody_waits_for_a_slow_name",),
    ),
    Mutation(
        name="nobody-until-the-name-is-known",
        breaks="Each time that all instances are replaced by ones with other names, calls fail until those are found.",
        path=_CHANNELS,
        old="            return self._made_of  # until",
        new="            return _NOTHING  # until",
        tests=(
            f"{_OF_CHANNELS}::TestASlowResolver::test_the_former_instances_are_called_until_the_first_name_is_known",
        ),
    ),
    Mutation(
        name="first-call-before-the-names",
        breaks="The first calls of a process whose servers have names find nobody.",
        path=_CHANNELS,
        old="        if self._current is not None or self._hosts.is_complete:\n            self._heard.set()\n",
        new="        self._heard.set()\n",
        tests=(f"{_OF_CHANNELS}::TestASlowResolver::test_the_first_call_of_all_waits_for_it",),
    ),
    Mutation(
        name="change-lost-with-a-fault",
        breaks="Whose coming or leaving falls together with a fault, such as half a renewed pair, is never noticed.",
        path=_CHANNELS,
        old="        self._next_look = self._clock.seconds() + _AGAIN_AFTER\n",
        new='        self._next_look = float("inf")\n',
        tests=(
            f"{_OF_CHANNELS}::TestWhatCannotBeMade::test_a_change_is_made_up_for_and_meanwhile_the_channel_before_stays",
            f"{_OF_CHANNELS}::TestWhatCannotBeMade::test_the_first_one_too",
        ),
    ),
    Mutation(
        name="former-certificate-shown",
        breaks="A day after our certificate was renewed no server lets our clients in, until they are restarted.",
        path=_CHANNELS,
        old="self._maker.stamp()",
        new="None",
        tests=(
            f"{_OF_CHANNELS}::test_a_channel_is_made_anew_when_what_it_is_made_with_is_renewed",
            f"{_OF_TLS}::test_our_clients_too_show_renewed_files_without_a_restart",
        ),
    ),
    Mutation(
        name="authority-without-a-name",
        breaks="Clients that reach one instance over TLS reach none of two.",
        path=_CREDENTIALS,
        old="        if authority:\n            # One",
        new="        if authority is None:\n            # One",
        tests=(f"{_OF_TLS}::test_an_authority_wants_the_name_that_its_certificates_have",),
    ),
    Mutation(
        name="odd-host-taken",
        breaks="One odd entry in a registry, or in DISCOVERY_STATIC, keeps clients from seeing who comes and goes.",
        path=_HOSTS,
        old='        return "%" not in text and is_address(text)\n    return _NAME.fullmatch(text) is not None\n',
        new="        return True\n    return bool(text)\n",
        tests=(
            f"{_OF_ENTRIES}::test_in_etcd",
            f"{_OF_ENTRIES}::test_in_consul",
            "tests/unit/test_environment.py::test_what_is_no_address",
        ),
    ),
    Mutation(
        name="odd-name-looked-up",
        breaks="One odd name keeps clients from seeing who comes and goes.",
        path=_ADDRESSES,
        old="    except UnicodeError as error:",
        new="    except UnicodeDecodeError as error:",
        tests=("tests/unit/discovery/test_addresses.py::test_a_name_that_is_none_is_not_found",),
    ),
    Mutation(
        name="deep-entry-read",
        breaks="Anybody's JSON that is a thousand lists deep keeps clients from seeing who comes and goes.",
        path=_ETCD,
        old="(ValueError, KeyError, TypeError, RecursionError)",
        new="(ValueError, KeyError, TypeError)",
        tests=(f"{_OF_ENTRIES}::test_in_etcd",),
    ),
    Mutation(
        name="empty-answer-as-zero",
        breaks="An empty answer of the ratings service is shown as a rating of zero.",
        path=_DETAILS,
        old="self._is_whole(message := self._call.result())",
        new="(message := self._call.result())",
        tests=(f"{_OF_PARTS}::TestOnePart::test_an_answer_without_it_is_no_answer",),
    ),
    Mutation(
        name="own-bound-shortened",
        breaks="With a short MOVIE_DETAILS_TIMEOUT_MS every call for details fails.",
        path="movieapp/rpc/deadlines.py",
        old="    return min(ours, longest)\n",
        new="    return min(ours, longest - _LEAST_MARGIN)\n",
        tests=("tests/unit/rpc/test_deadlines.py::test_a_bound_of_our_own_is_passed_on_whole",),
    ),
    Mutation(
        name="put-retried",
        breaks="A write whose answer was lost is made twice.",
        path=_CLIENTS,
        old='METADATA_READS = ("GetMetadata", ',
        new='METADATA_READS = ("PutMetadata", "GetMetadata", ',
        tests=(f"{_OF_CLIENTS}::test_every_read_and_nothing_else_is_tried_again_where_it_was_not_begun",),
    ),
    Mutation(
        name="answers-retried",
        breaks="A fault of one service is asked for four times each, when it has least time for it.",
        path=_CLIENTS,
        old='"retryableStatusCodes": ["UNAVAILABLE"]',
        new='"retryableStatusCodes": ["UNAVAILABLE", "INTERNAL"]',
        tests=(
            f"{_OF_CLIENTS}::test_every_read_and_nothing_else_is_tried_again_where_it_was_not_begun",
            f"{_OF_PARTS}::TestTriedAgain::test_an_answer_is_an_answer[INTERNAL]",
        ),
    ),
    Mutation(
        name="nothing-retried",
        breaks="Callers see the end of each server that stops or dies.",
        path=_CLIENTS,
        old='"maxAttempts": 4',
        new='"maxAttempts": 0',
        tests=(f"{_OF_PARTS}::TestTriedAgain::test_one_that_refuses_at_first",),
    ),
    Mutation(
        name="deadline-not-passed-on",
        breaks="Servers work on for callers who have left, and a service that hangs makes its callers hang.",
        path=_DETAILS,
        old="time.monotonic() + to_pass_on(within, longest=self._longest)",
        new="time.monotonic() + self._longest",
        tests=(
            f"{_OF_PARTS}::TestTime::test_each_has_the_callers_time_but_a_margin",
            f"{_OF_PARTS}::TestTime::test_one_that_hangs_is_given_up_before_the_callers_time_is_over",
        ),
    ),
    Mutation(
        name="unknown-rating-as-none",
        breaks="While ratings are away every movie looks as if nobody had rated it.",
        path=_DETAILS,
        old="            unavailable=self._accepted(metadata, rating),\n",
        new="",
        tests=(
            f"{_OF_PARTS}::TestOnePart::test_no_rating_in_time_is_unknown_or_an_error_by_the_setting",
            f"{_OF_PARTS}::TestCallers::test_rest_names_the_part",
        ),
    ),
    Mutation(
        name="no-rating-as-error",
        breaks="A movie that nobody has rated cannot be shown.",
        path=_DETAILS,
        old='        if code == "NOT_FOUND":\n            return _Had(self._part)\n',
        new="",
        tests=("tests/contract/test_details_source.py::test_what_a_movie_need_not_have[grpc]",),
    ),
    Mutation(
        name="hosts-told",
        breaks="Callers from outside are told the addresses of the servers inside.",
        path=_DETAILS,
        old='    reason = _REASONS.get(code, f"the answer was {code}")\n',
        new='    reason = words or _REASONS.get(code, f"the answer was {code}")\n',
        tests=(f"{_OF_PARTS}::TestOnePart::test_nobody_is_told_of_our_hosts",),
    ),
    Mutation(
        name="too-large-as-outage",
        breaks="Who asks for too many movies at once is told to try again, for ever.",
        path=_DETAILS,
        old='    if code == "RESOURCE_EXHAUSTED" and',
        new='    if code == "OUT_OF_RANGE" and',
        tests=("tests/contract/test_details_source.py::test_more_than_a_caller_takes_is_no_outage",),
    ),
    Mutation(
        name="overload-deregisters",
        breaks="A server that is asked too much leaves the registry, and the others are asked even more.",
        path=_OWN_HEALTH,
        old="    answer.experimental_thread_pool = thread  # type: ignore[attr-defined]\n",
        new="",
        tests=(f"{_OF_REGISTRATION}::test_one_that_has_too_much_to_do_stays",),
    ),
    Mutation(
        name="hung-calls-unnoticed",
        breaks="A server all of whose calls hang stays listed for ever, and callers keep being sent to it.",
        path=_OWN_HEALTH,
        old="        if self._calls.is_stuck(_STUCK_AFTER):\n",
        new="        if not self._calls:\n",
        tests=(
            f"{_OF_REGISTRATION}::TestOwnHealth::test_what_it_says_and_how_its_calls_get_on",
            f"{_OF_REGISTRATION}::test_one_whose_calls_all_hang_leaves_and_comes_back",
        ),
    ),
    Mutation(
        name="busy-taken-for-hung",
        breaks="A server with all threads at work leaves the registry, though it answers one call after the other.",
        path="movieapp/rpc/threads.py",
        old="                self._in_hand -= 1\n                self._moved_at = self._clock()\n",
        new="                self._in_hand -= 1\n",
        tests=("tests/unit/rpc/test_threads.py::test_who_has_too_much_to_do_and_gets_on_is_not_stuck",),
    ),
    Mutation(
        name="deregistered-after-the-watchers",
        breaks="Whoever watches a server's health and takes no news keeps it in the registry after its stop began.",
        path=_PROCESS,
        old="                health_kept(health, options, check=check),\n                entries.listed(),\n",
        new="                entries.listed(),\n                health_kept(health, options, check=check),\n",
        tests=("tests/integration/rpc/test_serving.py::test_many_that_watch_and_take_nothing_do_not_hold_it",),
    ),
    Mutation(
        name="listed-while-unhealthy",
        breaks="Callers are sent to a server whose database is away.",
        path=_OWN_HEALTH,
        old="        return answer == _YES\n",
        new="        return True\n",
        tests=(f"{_OF_REGISTRATION}::test_one_that_is_not_healthy_is_not_listed_until_it_is",),
    ),
    Mutation(
        name="all-addresses-taken",
        breaks="Whoever registers as 0.0.0.0 sends callers to their own machine.",
        path="workers/discovery/registry.py",
        old="        if is_unspecified(self.host):\n",
        new="        if not self.host:\n",
        tests=(
            f"{_OF_INSTANCES}::test_what_anybody_may_have_written_into_a_registry_is_no_instance",
            f"{_OF_ENTRIES}::test_in_etcd",
        ),
    ),
    Mutation(
        name="typo-as-a-service",
        breaks="A service whose name has a typo in DISCOVERY_STATIC is found by nobody, and nobody is told.",
        path=_ENVIRONMENT,
        old="service.strip() not in services or ",
        new="",
        tests=(f"{_OF_THE_ENVIRONMENT}::test_a_service_that_is_none_is_told_which_there_are",),
    ),
    Mutation(
        name="token-in-the-log",
        breaks="A token of Consul that was pasted with a line end in it stands in the log.",
        path=_ENVIRONMENT,
        old='r"[!-~]*"',
        new='r"(?s).*"',
        tests=(f"{_OF_THE_ENVIRONMENT}::test_a_secret_that_cannot_be_sent_is_not_shown",),
    ),
    Mutation(
        name="unreadable-authority-taken",
        breaks="A server whose file for its registry is no certificate serves, and nobody finds it or is told why.",
        path=_BACKENDS,
        old="    if fault:\n",
        new="    if fault and not named:\n",
        tests=(
            f"{_OF_BACKENDS}::test_a_file_that_holds_no_authority_is_named_with_its_setting",
            f"{_OF_BACKENDS}::test_a_certificate_with_anothers_key_is_refused",
        ),
    ),
    Mutation(
        name="files-of-details-unchecked",
        breaks="A web process whose files for details are missing passes its check, and answers 500.",
        path="movieapp/catalogue/checks.py",
        old='        return [Error(str(error), id="catalogue.E001")]\n',
        new="        return []\n",
        tests=("tests/unit/rpc/test_details_check.py::test_a_file_that_details_need_is_missed_by_the_check",),
    ),
    Mutation(
        name="few-tokens-for-many-threads",
        breaks="With many threads the end of one server of two is seen by callers.",
        path=_CLIENTS,
        old="max(100, 4 * settings.GRPC_THREADS)",
        new="100",
        tests=(f"{_OF_CLIENTS}::test_what_one_instance_had_in_hand_may_all_be_tried_again",),
    ),
    Mutation(
        name="all-addresses-advertised",
        breaks="Callers are sent to 0.0.0.0, which is their own machine.",
        path=_REGISTRATION,
        old="    if is_unspecified(host):\n",
        new="    if not host:\n",
        tests=(f"{_OF_REGISTRATION}::TestNames::test_under_which_name_callers_find_it",),
    ),
    Mutation(
        name="movie-asks-itself",
        breaks="Calls for details hold all threads of a server, and wait for other calls that want one.",
        path=_PROCESS,
        old='    if len(options.services) > 1 and settings.MOVIE_DETAILS_SOURCE == "grpc":\n',
        new='    if not options.services and settings.MOVIE_DETAILS_SOURCE == "grpc":\n',
        tests=(f"{_OF_REGISTRATION}::test_the_movie_service_that_asks_others_does_not_run_beside_them",),
    ),
    Mutation(
        name="watcher-waited-for",
        breaks="A client that watches a server's health and takes no answer keeps everybody from hearing of a change.",
        path=_HEALTH,
        old="            told[late].cancel()\n",
        new="            pass\n",
        tests=(f"{_OF_HEALTH}::test_one_that_takes_nothing_is_left",),
    ),
    Mutation(
        name="watchers-told-in-turn",
        breaks="Each client that watches a server's health and takes no answer holds up its stop for a second.",
        path=_HEALTH,
        old="min(len(watches), _TOLD_AT_ONCE)",
        new="1",
        tests=(f"{_OF_HEALTH}::test_many_that_take_nothing_hold_it_up_no_longer_than_one",),
    ),
    Mutation(
        name="health-watches-without-bound",
        breaks="Whoever reaches the port fills the server's memory with calls that watch its health.",
        path=_HEALTH,
        old="        if len(self._watches) >= MOST_WATCHES:\n",
        new="        if MOST_WATCHES < 0:\n",
        tests=(f"{_OF_HEALTH}::test_not_more_watch_than_may",),
    ),
    Mutation(
        name="watcher-told-of-changes-only",
        breaks="A client that begins to watch a healthy server is told nothing, and never calls it.",
        path=_HEALTH,
        old="        self._begin(watch)\n",
        new="",
        tests=(f"{_OF_HEALTH}::test_a_watcher_sees_how_it_stands_and_each_change_once",),
    ),
)

"""Faults in what is asked of a registry and of the instances in it, and in what is made of late or odd answers."""

from tests.mutations.mutation import Mutation

_REGISTRAR = "workers/discovery/registrar.py"
_ETCD = "workers/discovery/etcd.py"
_CONSUL = "workers/discovery/consul.py"
_CLIENTS = "movieapp/catalogue/clients.py"
_DETAILS = "movieapp/catalogue/grpc_details.py"
_OF_ETCD = "tests/unit/discovery/test_etcd.py"
_OF_CONSUL = "tests/unit/discovery/test_consul.py"
_OF_PARTS = "tests/integration/rpc/test_partial_details.py"

MUTATIONS = (
    Mutation(
        name="member-stepped-past",
        breaks="Where a member of etcd is away, several servers that notice it together are told that all of etcd is.",
        path=_ETCD,
        old="            place = (first + step) % len(self._members)\n",
        new="            place = self._preferred = (self._preferred + (step > 0)) % len(self._members)\n",
        tests=(f"{_OF_ETCD}::test_threads_that_fail_together_all_come_to_the_member_that_answers",),
    ),
    Mutation(
        name="member-forgotten",
        breaks="While a member of etcd is away every call waits for it first.",
        path=_ETCD,
        old="                self._preferred = place\n",
        new="",
        tests=(f"{_OF_ETCD}::test_threads_that_fail_together_all_come_to_the_member_that_answers",),
    ),
    Mutation(
        name="another-cluster-believed",
        breaks="An etcd that was made anew, and has come further, is taken for one whose instances have all gone.",
        path=_ETCD,
        old="now.cluster_id != self.cluster_id or ",
        new="",
        tests=(f"{_OF_ETCD}::test_a_lower_revision_or_another_cluster_began_anew",),
    ),
    Mutation(
        name="key-asked-for-later",
        breaks="Healthy servers far from their etcd drop out of it again and again.",
        path=_ETCD,
        old="        found = member.kv.Range(rpc.RangeRequest(key=key, count_only=True), timeout=timeout)\n"
        "        answer = next(answers, None)\n",
        new="        answer = next(answers, None)\n"
        "        found = member.kv.Range(rpc.RangeRequest(key=key, count_only=True), timeout=timeout)\n",
        tests=(f"{_OF_ETCD}::test_a_heartbeat_takes_one_round_trip",),
    ),
    Mutation(
        name="pause-after-a-slow-answer",
        breaks="Healthy servers drop out of a registry that takes half a TTL to answer.",
        path=_REGISTRAR,
        old=" - (self._clock.seconds() - begun)",
        new="",
        tests=("tests/unit/discovery/test_registrar.py::test_it_beats_as_often_where_the_registry_is_slow",),
    ),
    Mutation(
        name="dead-kept-in-consul",
        breaks="Consul keeps every server that was ever killed.",
        path=_CONSUL,
        old='            "DeregisterCriticalServiceAfter": _DEREGISTER_AFTER,\n',
        new="",
        tests=(f"{_OF_CONSUL}::test_it_asks_to_be_forgotten_some_time_after_the_ttl",),
    ),
    Mutation(
        name="file-that-is-gone-ends-it",
        breaks="`services --watch` ends with a traceback when the file of Consul's CA is being replaced.",
        path=_CONSUL,
        old="except (ConsulException, OSError) as error:",
        new="except ConsulException as error:",
        tests=(f"{_OF_CONSUL}::test_a_ca_that_has_gone_is_an_outage",),
    ),
    Mutation(
        name="broken-entries-as-one",
        breaks="Of several broken entries in Consul only the first is ever told.",
        path=_CONSUL,
        old='        return repr(entry["Service"]["ID"])[:200]\n',
        new="        return repr(entry)[:200]\n",
        tests=(f"{_OF_CONSUL}::test_each_broken_entry_is_told_once",),
    ),
    Mutation(
        name="left-out-as-unrated",
        breaks="A movie whose rating is missing from an answer for many looks as if nobody had rated it.",
        path=_DETAILS,
        old="{one.record.id for one in answer.ratings} >= {*movie_ids}",
        new="bool(answer.ratings or not movie_ids)",
        tests=(f"{_OF_PARTS}::TestOnePart::test_of_many_an_answer_without_one_of_them_is_no_answer",),
    ),
    Mutation(
        name="left-out-as-missing",
        breaks="A movie that is missing from an answer for many is dropped without a word.",
        path=_DETAILS,
        old="{one.id for one in answer.metadata}.union(answer.missing_movie_ids) >= {*movie_ids}",
        new="bool(answer.metadata or answer.missing_movie_ids or not movie_ids)",
        tests=(f"{_OF_PARTS}::TestOnePart::test_of_many_an_answer_without_one_of_them_is_no_answer",),
    ),
    Mutation(
        name="sick-instance-called",
        breaks="An instance that says it cannot serve is called for as long as it is listed.",
        path=_CLIENTS,
        old='        "healthCheckConfig": {"serviceName": ""},\n',
        new="",
        tests=("tests/integration/rpc/test_sick_instances.py::test_it_is_not_called_until_it_is_well_again",),
    ),
    Mutation(
        name="frozen-instance-waited-for",
        breaks="Callers of an instance that hangs lose call after call until the registry takes it off.",
        path=_CLIENTS,
        old='    ("grpc.keepalive_time_ms", 500),\n'
        '    ("grpc.keepalive_timeout_ms", 1_000),\n'
        '    ("grpc.http2.ping_timeout_ms", 1_000),\n',
        new="",
        tests=("tests/acceptance/serving/test_finding.py::test_one_freezes_and_goes_on_later[etcd]",),
    ),
)

"""When a server is in the registry: once it is healthy, under the name that its callers use, and not after its end."""

import socket
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from metadata import servicers
from metadata.drafts import movie_draft
from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving import own_health, registration
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.own_health import OwnHealth
from movieapp.catalogue.serving.process import server_running
from movieapp.catalogue.serving.registration import instances_of
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.fixtures.certificates import FILES
from tests.integration.rpc.calls import WITHIN
from tests.waiting import wait_until
from workers.discovery.memory import MemoryRegistry, MemoryRegistryServer


def options(*services, host="127.0.0.1", port=0):
    return ServeOptions(services=services, host=host, port=port, threads=2, streams=2, drain=0.0, grace=0.2)


@pytest.fixture
def registry(monkeypatch, settings):
    """The registry of the settings."""
    settings.DISCOVERY_TTL_SECONDS = 2
    server = MemoryRegistryServer()
    monkeypatch.setattr(registration, "make_registry", lambda: MemoryRegistry(server))
    return MemoryRegistry(server)


def listed(registry):
    return {(one.service, one.address) for one in registry.services()}


def test_each_service_is_listed_while_the_server_runs(transactional_db, registry):
    with server_running(options("metadata", "ratings"), check=lambda: True) as (port,):
        expected = {("metadata", f"127.0.0.1:{port}"), ("ratings", f"127.0.0.1:{port}")}
        wait_until(lambda: listed(registry) == expected)
    assert listed(registry) == set()


def test_one_that_is_not_healthy_is_not_listed_until_it_is(transactional_db, registry, monkeypatch):
    monkeypatch.setattr("movieapp.catalogue.serving.health._LOOK_EVERY", 0.05)
    monkeypatch.setattr("movieapp.catalogue.serving.health._KEEP", 0.04)
    asked, healthy = [], []
    with server_running(options("ratings"), check=lambda: asked.append(1) or bool(healthy)):
        wait_until(lambda: len(asked) > 5)
        assert listed(registry) == set()
        healthy.append(1)
        wait_until(lambda: listed(registry))


def test_it_is_not_listed_any_more_when_it_takes_no_more_calls(transactional_db, registry, monkeypatch):
    seen = []
    monkeypatch.setattr("movieapp.catalogue.serving.process.time.sleep", lambda seconds: seen.append(listed(registry)))
    with server_running(options("ratings"), check=lambda: True):
        wait_until(lambda: listed(registry))
        seen.clear()
    assert seen[-1] == set()


def test_a_registry_that_is_away_does_not_hold_its_begin(transactional_db, registry):
    registry._server.away = True
    with server_running(options("ratings"), check=lambda: True) as (port,):
        registry._server.away = False
        wait_until(lambda: listed(registry) == {("ratings", f"127.0.0.1:{port}")})


class HangingRegistry(MemoryRegistry):
    """Answers nothing before it is let go, as behind a network that swallows everything."""

    def __init__(self, server, asked, let_go):
        super().__init__(server)
        self.asked = asked
        self.let_go = let_go

    def register(self, instance, *, ttl):
        self.asked.append(instance)
        self.let_go.wait()
        super().register(instance, ttl=ttl)


def test_a_registry_that_hangs_holds_neither_its_begin_nor_its_end(transactional_db, registry, monkeypatch):
    asked, let_go = [], threading.Event()
    monkeypatch.setattr(registration, "make_registry", lambda: HangingRegistry(registry._server, asked, let_go))
    monkeypatch.setattr(registration, "_DEREGISTERED_WITHIN", 0.2)
    give_up = threading.Timer(30, let_go.set)
    give_up.start()
    try:
        with server_running(options("ratings"), check=lambda: True) as (port,):
            wait_until(lambda: asked)
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                answer = HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=WITHIN)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert not let_go.is_set()  # it has begun, answered and ended while the registry was still being asked
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    finally:
        give_up.cancel()
        let_go.set()


@pytest.mark.parametrize("authority", ["", "authority.pem"], ids=["TLS", "mutual TLS"])
def test_it_asks_itself_beside_tls_too(transactional_db, registry, settings, authority):
    """Which certificates it would take from a client, or trust, has nothing to do with whether it answers."""
    settings.GRPC_TLS_CERTIFICATE, settings.GRPC_TLS_KEY = str(FILES / "server.pem"), str(FILES / "server.key")
    settings.GRPC_TLS_CLIENT_CA = str(FILES / authority) if authority else ""
    with server_running(options("ratings"), check=lambda: True):
        wait_until(lambda: listed(registry))


@pytest.fixture
def slow_movies(monkeypatch):
    """Looking a movie up takes a quarter of a second."""

    def look_up(*, movie_id):
        time.sleep(0.25)
        return movie_draft(movie_id=movie_id, title="Alien")

    monkeypatch.setattr(servicers, "movie_get", look_up)


def test_one_that_has_too_much_to_do_stays(transactional_db, registry, slow_movies):
    """Two threads, and for three TTLs as many callers as may wait: an answer takes each of them more than a second."""
    ends, codes = threading.Event(), []

    def call(stub):
        while not ends.is_set():
            try:
                stub.GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN)
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)

    with server_running(options("metadata"), check=lambda: True) as (port,):
        wait_until(lambda: listed(registry))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            callers = [threading.Thread(target=call, args=(MetadataServiceStub(channel),)) for _ in range(10)]
            for caller in callers:
                caller.start()
            seen, until = [], time.monotonic() + 6
            while time.monotonic() < until:
                seen.append(bool(listed(registry)))
                time.sleep(0.05)
            ends.set()
            for caller in callers:
                caller.join()
    assert all(seen)
    assert codes.count("OK") > 30


def test_one_whose_calls_all_hang_leaves_and_comes_back(transactional_db, registry, monkeypatch):
    monkeypatch.setattr(own_health, "_STUCK_AFTER", 0.5)
    may_end = threading.Event()
    monkeypatch.setattr(
        servicers, "movie_get", lambda movie_id: may_end.wait(30) and movie_draft(movie_id="7", title="A")
    )
    with server_running(options("metadata"), check=lambda: True) as (port,):
        wait_until(lambda: listed(registry))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = MetadataServiceStub(channel)
            calls = [stub.GetMetadata.future(pb.GetMetadataRequest(movie_id="7"), timeout=30) for _ in range(2)]
            wait_until(lambda: not listed(registry))
            may_end.set()
            wait_until(lambda: listed(registry))
            assert all(call.result(WITHIN) for call in calls)


def test_silent_questions_about_its_health_do_not_make_it_ill(transactional_db, registry):
    """Anybody may ask, and hold the threads that answer."""
    with server_running(options("metadata"), check=lambda: True) as (port,):
        wait_until(lambda: listed(registry))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = channel.stream_stream("/grpc.health.v1.Health/Check", request_serializer=bytes)
            over, seen, until = threading.Event(), [], time.monotonic() + 4

            def silence():
                over.wait(WITHIN)
                yield from ()

            calls = [check(silence(), timeout=WITHIN) for _ in range(60)]
            while time.monotonic() < until:
                seen.append(bool(listed(registry)))
                time.sleep(0.05)
            over.set()
            for call in calls:
                call.cancel()
    assert all(seen)


class TestNames:
    @pytest.mark.parametrize(
        ("host", "advertised", "expected"),
        [
            ("127.0.0.1", "", "127.0.0.1"),
            ("0.0.0.0", "ratings-1.internal", "ratings-1.internal"),
            ("0.0.0.0", "", "this-machine"),
            *((every, "", "this-machine") for every in ("::", "::0", "0", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0")),
            ("::", "[fd00::1]", "fd00::1"),
        ],
    )
    def test_under_which_name_callers_find_it(self, settings, monkeypatch, host, advertised, expected):
        monkeypatch.setattr("socket.gethostname", lambda: "this-machine")
        settings.GRPC_ADVERTISED_HOST = advertised
        (instance,) = instances_of(options("ratings", host=host), [8082])
        assert (instance.host, instance.port) == (expected, 8082)

    def test_each_service_has_its_port_or_all_have_one(self):
        both = options("metadata", "ratings")
        assert [one.port for one in instances_of(both, [8081, 8082])] == [8081, 8082]
        assert [one.port for one in instances_of(both, [9000])] == [9000, 9000]

    def test_each_start_has_another_id(self):
        first, second = (instances_of(options("ratings"), [8082])[0] for _ in range(2))
        assert first.id != second.id

    @pytest.mark.parametrize("host", ["not a host", "ratings-1:8082", "a..b"])
    def test_one_that_cannot_be_is_named_with_its_setting(self, settings, host):
        settings.GRPC_ADVERTISED_HOST = host
        with pytest.raises(CannotServe, match=f"'{host}' is no host: .*Set GRPC_ADVERTISED_HOST"):
            instances_of(options("ratings"), [8082])


class Refusal(grpc.RpcError):
    def __init__(self, code):
        self._code = code

    def code(self):
        return self._code

    def details(self):
        return ""


class Calls:
    """Stands for a server's threads."""

    def __init__(self, *, are_stuck):
        self._are_stuck = are_stuck

    def is_stuck(self, seconds):
        return self._are_stuck


class TestOwnHealth:
    @pytest.mark.parametrize("code", [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE])
    def test_who_does_not_answer_is_not(self, code):
        def fail(question, timeout):
            raise Refusal(code)

        assert not OwnHealth(fail, calls=Calls(are_stuck=False)).is_healthy()

    @pytest.fixture
    def asked(self, settings):
        """A server that is asked once a second; and whether it is lost by then."""
        settings.DISCOVERY_TTL_SECONDS = 10
        now, lost, outcome = [100.0], [], [None]

        def answer(question, timeout):
            if outcome[0] is None:
                raise Refusal(grpc.StatusCode.DEADLINE_EXCEEDED)
            return outcome[0]

        own = OwnHealth(answer, calls=Calls(are_stuck=False), on_lost=lambda: lost.append(True), clock=lambda: now[0])

        def ask(seconds, says=None):
            outcome[0] = says
            for _ in range(seconds):
                now[0] += 1
                own.is_healthy()
            return bool(lost)

        ask.pause = lambda seconds: now.__setitem__(0, now[0] + seconds)
        return ask

    def test_who_answers_nobody_for_three_ttls_is_lost(self, asked):
        assert not asked(30)
        assert asked(1)

    def test_who_says_that_it_is_not_healthy_is_not_lost(self, asked):
        assert not asked(3600, b"not serving")
        assert not asked(29)
        assert not asked(1, b"not serving")
        assert not asked(29)

    def test_who_was_frozen_for_an_hour_is_not_lost(self, asked):
        asked(3)
        asked.pause(3600)
        assert not asked(3)

    @pytest.mark.parametrize(
        ("says", "are_stuck", "expected"),
        [(b"serving", False, True), (b"serving", True, False), (b"not serving", False, False)],
    )
    def test_what_it_says_and_how_its_calls_get_on(self, says, are_stuck, expected):
        own = OwnHealth(lambda question, timeout: says, calls=Calls(are_stuck=are_stuck))
        assert own.is_healthy() is expected


def test_the_movie_service_that_asks_others_does_not_run_beside_them(settings):
    settings.MOVIE_DETAILS_SOURCE = "grpc"
    with (
        pytest.raises(CannotServe, match="the movie service needs a process of its own"),
        server_running(options("metadata", "movie")),
    ):
        pass

"""Kafka or Postgres fails under load in every way: the same two processes wait, go on, and keep what they promise.

Nothing is dead-lettered but what is poison.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from movieapp.devstack.layout import PROJECT_ROOT
from movieapp.devstack.ports import free_port
from movieapp.devstack.postgres import NOT_DURABLE
from tests.acceptance.kills.modes import EACH_DELIVERY, EXACTLY_ONCE, every_mode
from tests.acceptance.kills.scene import PARTITIONS, make_scene
from tests.acceptance.kills.tiny_disk import TinyDiskPostgres
from tests.fixtures.private_servers import django_on, running
from tests.waiting import wait_until

__all__ = ["make_scene"]

_MOST_CONNECTIONS = 30
_MOST_IN_A_BATCH = 200 + 1_000  # the scene's batch size, and what one fetch brings


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A server that these tests may mistreat, with our tables in it."""
    folder = tmp_path_factory.mktemp("postgres")
    server = TinyDiskPostgres(
        folder=folder / "postgres",
        log=folder / "postgres.log",
        port=free_port(),
        password="private",
        settings={**NOT_DURABLE, "max_connections": str(_MOST_CONNECTIONS)},
    )
    with running(server) as private:
        migrate = [sys.executable, "manage.py", "migrate"]
        subprocess.run(migrate, cwd=PROJECT_ROOT, env={**os.environ, "DATABASE_URL": server.url}, check=True)
        yield private


@pytest.fixture
def scene_on(make_scene, postgres):
    """A scene on that server; this process's own questions go there too."""

    @contextmanager
    def make(mode):
        with django_on(postgres.address), make_scene(mode, url=postgres.address) as scene:
            yield scene

    return make


def met_an_outage(crew):
    """When they wrote, or when they took partitions over: they may have been sharing these out just then."""
    return crew.said("store_unavailable") or crew.said("take_over_failed")


def has_logged(member, text, times):
    return member.process.output().count(text) >= times


@every_mode(*EACH_DELIVERY)
def test_kafka_is_killed_and_started_again(make_scene, private_kafka, mode):
    topic = NewTopic("ratings-of-our-own", num_partitions=PARTITIONS, replication_factor=1)
    admin = AdminClient({"bootstrap.servers": private_kafka.address})
    admin.create_topics([topic])[topic.topic].result(30)
    with make_scene(mode, servers=private_kafka.address, topic=topic.topic) as scene:
        with scene.under_load():
            scene.go_on()
            private_kafka.kill()
            private_kafka.start()
            scene.go_on()
        scene.assert_as_promised()


@every_mode(*EACH_DELIVERY)
def test_postgres_is_shut_down_at_once_and_started_again(scene_on, postgres, mode):
    with scene_on(mode) as scene:
        with scene.under_load():
            for _ in range(3 if mode.is_exact else 1):
                scene.go_on()
                postgres.stop_at_once()
                scene.watch.close()
                postgres.start()
            scene.go_on()
        assert met_an_outage(scene.crew)
        scene.assert_as_promised()


@every_mode(*EACH_DELIVERY)
def test_sessions_are_cut_again_and_again(make_scene, mode):
    cuts, cut = 15 if mode.is_exact else 5, 0
    with make_scene(mode) as scene:
        with scene.under_load():
            for _ in range(cuts):
                scene.watch.next_to_commit()
                cut += scene.watch.cut()
            scene.go_on()
        assert cut >= cuts
        assert met_an_outage(scene.crew)
        scene.assert_as_promised()


@every_mode(*EACH_DELIVERY)
def test_a_full_disk_is_waited_out(scene_on, postgres, mode):
    with scene_on(mode) as scene, postgres.server.ratings_on_disk(scene.watch.connection):
        with scene.under_load():
            scene.go_on()
            with postgres.server.no_space_for_ratings(scene.watch.connection):
                tries = 6 if mode.delivery == "at-most-once" else 1
                for member in scene.crew.members:
                    wait_until(
                        partial(has_logged, member, postgres.server.no_space_logged, tries),
                        60,
                        message=scene.crew.story,
                    )
            for member in scene.crew.members:
                assert member.process.output().count('"event": "skipped"') < 3  # a batch, and not one for every try
            assert scene.load.skipped() <= len(scene.crew.members) * _MOST_IN_A_BATCH
            scene.go_on()
        scene.assert_as_promised()
        scene.crew.kill_all()


@contextmanager
def all_connections_in_use(postgres, watch):
    """Whoever is cut off meanwhile finds no slot."""
    with ExitStack() as slots:

        def take_all():
            for _ in range(_MOST_CONNECTIONS):
                try:
                    slots.enter_context(psycopg.connect(postgres.address, connect_timeout=5))
                except psycopg.OperationalError:
                    return  # what the members are told shows that this was the reason

        for _ in range(3):  # some of the slots that a cut frees may be taken by members again
            watch.cut()
            take_all()
        yield "too many clients"


@contextmanager
def logins_rejected(postgres, watch):
    """By pg_hba.conf."""
    rules = postgres.server.data / "pg_hba.conf"
    usual = rules.read_text()
    rules.write_text("host all all all reject\n" + usual)
    watch.rows("SELECT pg_reload_conf()")
    try:
        watch.cut()
        yield "pg_hba.conf rejects connection"
    finally:
        rules.write_text(usual)
        watch.rows("SELECT pg_reload_conf()")


def check_refused_connections(scene, postgres, refused):
    with scene.under_load():
        scene.go_on()
        with refused(postgres, scene.watch) as words:
            for member in scene.crew.members:
                member.process.wait_for(words)
        scene.go_on()
    scene.assert_as_promised()


@every_mode(EXACTLY_ONCE)
def test_connections_that_are_all_in_use_are_waited_out(scene_on, postgres, mode):
    with scene_on(mode) as scene:
        check_refused_connections(scene, postgres, all_connections_in_use)


@every_mode(*(mode for mode in EACH_DELIVERY if not mode.is_exact))
def test_rejected_logins_are_waited_out(scene_on, postgres, mode):
    with scene_on(mode) as scene:
        check_refused_connections(scene, postgres, logins_rejected)

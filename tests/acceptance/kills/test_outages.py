"""Kafka or Postgres fails under load in every way: the same two processes wait, go on, and every event counts once.

Nothing is dead-lettered but what is poison.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from movieapp.devstack.layout import PROJECT_ROOT
from movieapp.devstack.ports import free_port
from movieapp.devstack.postgres import NOT_DURABLE
from tests.acceptance.kills.crew import QUICK
from tests.acceptance.kills.scene import PARTITIONS, make_scene
from tests.acceptance.kills.tiny_disk import TinyDiskPostgres
from tests.fixtures.private_servers import django_on, running

__all__ = ["make_scene"]

_MOST_CONNECTIONS = 30


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
    def make():
        with django_on(postgres.address), make_scene(url=postgres.address) as scene:
            yield scene

    return make


def go_on(scene, events=600):
    """They write again."""
    wanted = (scene.watch.position() or 0) + events
    scene.watch.wait_for_position(wanted, 60, scene.crew.story)


def test_kafka_is_killed_and_started_again(make_scene, private_kafka):
    topic = NewTopic("ratings-of-our-own", num_partitions=PARTITIONS, replication_factor=1)
    admin = AdminClient({"bootstrap.servers": private_kafka.address})
    admin.create_topics([topic])[topic.topic].result(30)
    env = {**QUICK, "KAFKA_BOOTSTRAP_SERVERS": private_kafka.address}
    with make_scene(env=env, servers=private_kafka.address, topic=topic.topic) as scene:
        with scene.under_load():
            go_on(scene)
            private_kafka.kill()
            private_kafka.start()
            go_on(scene)
        scene.assert_exactly_once()


def test_postgres_is_shut_down_at_once_and_started_again(scene_on, postgres):
    with scene_on() as scene:
        with scene.under_load():
            for _ in range(3):
                go_on(scene)
                postgres.stop_at_once()
                scene.watch.close()
                postgres.start()
            go_on(scene)
        assert scene.crew.said("store_unavailable")
        scene.assert_exactly_once()


def test_sessions_are_cut_again_and_again(make_scene):
    cut = 0
    with make_scene() as scene:
        with scene.under_load():
            for _ in range(15):
                scene.watch.next_to_commit()
                cut += scene.watch.cut()
            go_on(scene)
        assert cut >= 15
        assert scene.crew.said("store_unavailable")
        scene.assert_exactly_once()


def test_a_full_disk_is_waited_out(scene_on, postgres):
    with scene_on() as scene, postgres.server.ratings_on_disk(scene.watch.connection):
        with scene.under_load():
            go_on(scene)
            with postgres.server.no_space_for_ratings(scene.watch.connection):
                for member in scene.crew.members:
                    member.process.wait_for("No space left on device")
            go_on(scene)
        scene.assert_exactly_once()
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


@pytest.mark.parametrize("refused", [all_connections_in_use, logins_rejected])
def test_refused_connections_are_waited_out(scene_on, postgres, refused):
    with scene_on() as scene:
        with scene.under_load():
            go_on(scene)
            with refused(postgres, scene.watch) as words:
                for member in scene.crew.members:
                    member.process.wait_for(words)
            go_on(scene)
        scene.assert_exactly_once()

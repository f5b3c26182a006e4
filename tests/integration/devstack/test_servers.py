"""The servers recover from what a crash leaves behind: half-made folders, stale locks, a killed process."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.fixtures.private_servers import PrivateServer
from tests.waiting import wait_until


def write_a_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def read_the_row(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def test_a_killed_postgres_starts_again_with_its_data(private_postgres: PrivateServer) -> None:
    write_a_row(private_postgres.address)
    private_postgres.kill()
    private_postgres.start()
    assert read_the_row(private_postgres.address) == 42


def test_a_lock_with_somebody_elses_process_id_does_not_keep_postgres_down(private_postgres: PrivateServer) -> None:
    write_a_row(private_postgres.address)
    lock = private_postgres.server.data / "postmaster.pid"
    lines = lock.read_text().splitlines(keepends=True)
    private_postgres.kill()
    lock.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
    private_postgres.start()
    assert read_the_row(private_postgres.address) == 42


def test_a_half_made_data_folder_is_made_anew(private_postgres: PrivateServer) -> None:
    private_postgres.stop()
    folder = private_postgres.server.folder
    shutil.rmtree(folder / "data")
    for half in ("data", "data.new"):
        (folder / half / "base").mkdir(parents=True)
    private_postgres.start()
    write_a_row(private_postgres.address)
    assert not (folder / "data.new").exists()


def test_postgres_asks_for_its_password_and_leaves_no_socket(private_postgres: PrivateServer, tmp_path: Path) -> None:
    wrong = private_postgres.address.replace(private_postgres.server.password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    assert not [path for path in tmp_path.rglob("*") if path.is_socket()]


def test_kafka_survives_a_kill_and_a_half_formatted_folder(private_kafka: PrivateServer) -> None:
    admin = AdminClient({"bootstrap.servers": private_kafka.address})
    admin.create_topics([NewTopic("kept", 2, 1)])["kept"].result(timeout=20)
    private_kafka.kill()
    private_kafka.start()
    admin = AdminClient({"bootstrap.servers": private_kafka.address})
    wait_until(lambda: "kept" in admin.list_topics(timeout=10).topics, message="the topic")

    private_kafka.stop()
    data = private_kafka.server.data
    shutil.rmtree(data)
    for half in (data, data.with_name("data.formatting")):
        half.mkdir()
        (half / "bootstrap.checkpoint").write_bytes(b"half")
    private_kafka.start()
    admin = AdminClient({"bootstrap.servers": private_kafka.address})
    assert "kept" not in admin.list_topics(timeout=10).topics

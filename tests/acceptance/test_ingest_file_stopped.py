"""`manage.py ingest_file` when it is stopped or loses its broker: nothing is lost, and it says how to go on."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.private_servers import PrivateServer
from tests.fixtures.processes import ManagedProcess, StartManage
from tests.fixtures.topics import MakeTopic
from tests.sent_files import sent_event, stored_count, stored_users, summary_counts, way_on, write_ndjson
from tests.waiting import wait_until


class Feed:
    """A named pipe as a file that grows while it is read; it ends with `end`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def write(self, numbers: Iterable[int]) -> None:
        """One event a line; waits while the pipe is full."""
        for number in numbers:
            self.write_bytes(json.dumps(sent_event(number)).encode() + b"\n")

    def write_bytes(self, piece: bytes) -> None:
        """All of it or nothing, as a pipe takes short pieces."""

        def written() -> bool:
            try:
                return os.write(self._descriptor, piece) == len(piece)
            except BlockingIOError:
                return False

        wait_until(written, message="a reader of the pipe")

    def end(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path / "pipe")


def _fed_again(start_manage: StartManage, feed: Feed, numbers: Iterable[int], words: list[str], **options: Any) -> str:
    """Runs the command once more on the whole of the file; its output."""
    process = start_manage(*words, **options)
    feed.write(numbers)
    feed.end()
    assert process.wait() == 0, process.output()
    return process.output()


@pytest.mark.parametrize(("stop", "code"), [(ManagedProcess.interrupt, 130), (ManagedProcess.terminate, 143)])
def test_a_signal_stops_cleanly_and_the_rest_can_be_sent(
    start_manage: StartManage,
    make_topic: MakeTopic,
    kafka_bootstrap_servers: str,
    feed: Feed,
    stop: Callable[[ManagedProcess], None],
    code: int,
) -> None:
    topic = make_topic()
    process = start_manage("ingest_file", str(feed.path), "--topic", topic, "--format", "ndjson")
    feed.write(range(1, 1_501))
    wait_until(lambda: stored_count(kafka_bootstrap_servers, topic) == 1_500)
    feed.write_bytes(b'{"recordId":"1","recor')  # half a line is no event
    stop(process)
    assert process.wait() == code
    output = process.output()
    assert summary_counts(output) == {"read": 1_500, "acknowledged": 1_500, "rejected": 0}
    assert "All before position 1,501 of" in output
    feed.end()
    feed.path.unlink()
    again = _fed_again(start_manage, Feed(feed.path), range(1, 1_601), way_on(output))
    assert summary_counts(again)["acknowledged"] == 100
    assert stored_users(kafka_bootstrap_servers, topic) == Counter(str(number) for number in range(1, 1_601))


def test_a_signal_at_full_speed_loses_no_count(
    start_manage: StartManage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    once = write_ndjson(tmp_path / "once.ndjson", 50_000).read_bytes()
    path = tmp_path / "events.ndjson"
    path.write_bytes(once * 40)
    process = start_manage("ingest_file", str(path), "--topic", topic)
    process.wait_for("reading it as ndjson")
    process.interrupt()
    assert process.wait() == 130
    counts = summary_counts(process.output())
    assert counts["read"] == counts["acknowledged"] == stored_count(kafka_bootstrap_servers, topic)


def test_a_second_signal_leaves_at_once(start_manage: StartManage, private_kafka: PrivateServer, feed: Feed) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.address}
    assert start_manage("create_topics", env=env).wait() == 0
    process = start_manage("ingest_file", str(feed.path), "--format", "ndjson", "--timeout", "600", env=env)
    feed.write([10])
    process.wait_for("reading it as ndjson")
    private_kafka.freeze()
    feed.write(range(10))
    process.interrupt()
    process.wait_for("Once more ends it at once")
    process.interrupt()
    assert process.wait(timeout=8) == 130
    feed.end()
    private_kafka.thaw()


@pytest.mark.parametrize("end", [PrivateServer.kill, PrivateServer.freeze])
def test_a_broker_that_goes_away_half_way(
    start_manage: StartManage, private_kafka: PrivateServer, feed: Feed, end: Callable[[PrivateServer], None]
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.address}
    assert start_manage("create_topics", env=env).wait() == 0
    process = start_manage("ingest_file", str(feed.path), "--format", "ndjson", "--timeout", "3", env=env)
    feed.write(range(1, 1_001))
    wait_until(lambda: stored_count(private_kafka.address, "ratings") == 1_000)
    end(private_kafka)
    feed.write(range(1_001, 1_301))
    assert process.wait() == 1
    output = process.output()
    counts = summary_counts(output)
    assert counts["read"] == 1_300
    # The last acknowledgements may be lost with the broker.
    assert counts["acknowledged"] <= 1_000
    assert counts["unacknowledged"] == 1_300 - counts["acknowledged"]
    assert f"{counts['unacknowledged']:,} without an answer: they may have arrived or not" in output
    assert "Stopped early: Kafka acknowledged nothing for 3 s" in output
    feed.end()
    private_kafka.kill()
    private_kafka.start()
    feed.path.unlink()
    _fed_again(start_manage, Feed(feed.path), range(1, 1_401), way_on(output), env=env)
    assert set(stored_users(private_kafka.address, "ratings")) == {str(number) for number in range(1, 1_401)}


def test_a_broker_that_is_away_for_a_moment_is_waited_for(
    start_manage: StartManage, private_kafka: PrivateServer, feed: Feed
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.address}
    assert start_manage("create_topics", env=env).wait() == 0
    process = start_manage("ingest_file", str(feed.path), "--format", "ndjson", "--timeout", "60", env=env)
    feed.write(range(1, 1_001))
    private_kafka.kill()
    feed.write(range(1_001, 1_501))
    private_kafka.start()
    feed.end()
    assert process.wait(timeout=60) == 0, process.output()
    assert summary_counts(process.output())["acknowledged"] == 1_500
    # Idempotence: whatever was sent a second time after the crash is stored once.
    assert stored_users(private_kafka.address, "ratings") == Counter(str(number) for number in range(1, 1_501))

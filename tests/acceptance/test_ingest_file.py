"""`manage.py ingest_file` as a real process: every way in which it can end, seen by its exit code and its words."""

import gzip
import json
import os
import random
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from movieapp.devstack.layout import PROJECT_ROOT
from ratings.events import decode_event
from ratings.models import Rating
from tests.fixtures.private_servers import PrivateServer
from tests.fixtures.processes import Manage, ManagedProcess, StartManage
from tests.fixtures.stored import stored_messages
from tests.fixtures.topics import MakeTopic
from tests.waiting import wait_until

NO_BROKER = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


def _event(number: int, **changes: object) -> dict[str, object]:
    event = {
        "recordId": str(number % 97),
        "recordType": "movie",
        "userId": str(number),
        "ratingValue": number % 101 / 10,
        "eventType": "put",
    }
    return {**event, **changes}


def _ndjson(path: Path, count: int) -> Path:
    path.write_text("".join(f"{json.dumps(_event(number))}\n" for number in range(1, count + 1)))
    return path


def _counts(output: str) -> dict[str, int]:
    """The summary's numbers by their words."""
    found = re.findall(r"^(\w[\w-]*) +([\d,]+)(?=$|  )", output, flags=re.MULTILINE)
    return {word: int(number.replace(",", "")) for word, number in found}


def _users(servers: str, topic: str) -> Counter[str]:
    return Counter(decode_event(value).user_id for value in stored_messages(servers, topic))


def test_every_event_is_acknowledged_and_stored(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic(partitions=4)
    path = _ndjson(tmp_path / "events.ndjson", 5_000)
    done = manage("ingest_file", str(path), "--topic", topic)
    assert done.returncode == 0, done.stderr
    assert _counts(done.stdout) == {"read": 5_000, "acknowledged": 5_000, "rejected": 0}
    assert "reading it as ndjson" in done.stderr
    assert _users(kafka_bootstrap_servers, topic) == Counter(str(number) for number in range(1, 5_001))


def test_several_files_of_several_kinds_and_standard_input(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    (tmp_path / "a.json").write_text(json.dumps([_event(1), _event(2)]))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"record_id,user_id,value\n7,3,5\n"))
    (tmp_path / "c").write_bytes(zstandard.compress(b"userId,movieId,rating,timestamp\n4,31,2.5,1\n"))
    (tmp_path / "d.tsv").write_bytes(b"tconst\taverageRating\tnumVotes\ntt1\t5.7\t9\n")
    paths = [str(tmp_path / name) for name in ("a.json", "b.csv.gz", "c", "d.tsv")]
    stdin = gzip.compress(json.dumps(_event(5, providerId="own")).encode())
    done = manage("ingest_file", *paths, "-", "--topic", topic, "--provider", "mine", input=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    events = [decode_event(value) for value in stored_messages(kafka_bootstrap_servers, topic)]
    assert sorted((event.user_id, event.provider_id, event.record_id) for event in events) == [
        ("1", "mine", "1"),
        ("2", "mine", "2"),
        ("3", "mine", "7"),
        ("4", "mine", "31"),
        ("5", "own", "5"),
        ("imdb", "mine", "tt1"),
    ]


def test_the_first_invalid_event_stops_and_the_rest_can_be_sent_from_there(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    path = tmp_path / "events.ndjson"
    lines = [json.dumps(_event(number)) for number in range(1, 6)]
    path.write_text("\n".join([*lines[:3], "", json.dumps(_event(9, ratingValue=11)), *lines[3:]]))
    done = manage("ingest_file", str(path), "--topic", topic)
    assert done.returncode == 1
    assert _counts(done.stdout) == {"read": 4, "acknowledged": 3, "rejected": 1}
    assert f"{path}:5: ratingValue: 11 is not a number from 0 to 10" in done.stdout
    again = manage(*_way_on(done.stdout, "--start-at", "6"))
    assert again.returncode == 0, again.stdout
    assert _users(kafka_bootstrap_servers, topic) == Counter("12345")


def test_skipping_invalid_events_has_an_exit_code_of_its_own(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    path = tmp_path / "events.csv"
    path.write_text("recordId,userId,value\n1,a,5\n2,b\n3,c,11\n4,d,6\n")
    done = manage("ingest_file", str(path), "--topic", topic, "--on-error", "skip")
    assert done.returncode == 3
    assert _counts(done.stdout) == {"read": 4, "acknowledged": 2, "rejected": 2}
    assert f"{path}:3: it has 2 columns where the header has 3" in done.stdout
    assert f"{path}:4: ratingValue: 11.0 is not a number" in done.stdout
    assert _users(kafka_bootstrap_servers, topic) == Counter("ad")


def test_a_dry_run_needs_no_broker_and_finds_everything(manage: Manage, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps([_event(1), _event(2, userId=""), _event(3)], indent=1))
    done = manage("ingest_file", str(path), "--dry-run", "--on-error", "skip", env=NO_BROKER)
    assert done.returncode == 3
    assert _counts(done.stdout) == {"read": 3, "valid": 2, "rejected": 1}
    assert f"{path}:9 (element 2): userId: it is empty" in done.stdout
    assert manage("ingest_file", str(path), "--dry-run", env=NO_BROKER).returncode == 1


def test_an_empty_file_is_said_and_fine(manage: Manage, make_topic: MakeTopic, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(b"")
    done = manage("ingest_file", str(path), "--topic", make_topic())
    assert done.returncode == 0
    assert "There is no event in it." in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        (gzip.compress(b"recordId,userId,value\n" + random.Random(1).randbytes(5_000).hex().encode())[:-8], "cut off"),
        (b'[{"recordId":"1","recordType":"movie","userId":"1","ratingValue":5,"eventType":"put"}', "cut off"),
        (b"hello", "its format cannot be told"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end(
    manage: Manage, make_topic: MakeTopic, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    done = manage("ingest_file", str(path), "--topic", make_topic(), "--on-error", "skip")
    assert done.returncode == 1
    assert str(path) in done.stdout
    assert words in done.stdout
    assert "Traceback" not in done.stderr


def test_without_a_broker_it_ends_in_time_and_says_how_many_were_not_sent(manage: Manage, tmp_path: Path) -> None:
    path = _ndjson(tmp_path / "events.ndjson", 1_234)
    done = manage("ingest_file", str(path), "--timeout", "3", env=NO_BROKER, timeout=20)
    assert done.returncode == 1
    assert "No Kafka broker at 127.0.0.1:1 answered within 3 s" in done.stdout
    assert "Connection refused" in done.stdout
    assert "Not sent: 1,234 events, which is all of them." in done.stdout


def test_without_a_broker_standard_input_is_left_alone(manage: Manage) -> None:
    done = manage("ingest_file", "-", "--timeout", "1", env=NO_BROKER, input=b"{}", timeout=20)
    assert done.returncode == 1
    assert "standard input was not read" in done.stdout


def test_a_topic_that_is_not_there_is_named_and_not_made(manage: Manage, tmp_path: Path, kafka_admin: Any) -> None:
    path = _ndjson(tmp_path / "events.ndjson", 1)
    done = manage("ingest_file", str(path), "--topic", "no-such-topic-here")
    assert done.returncode == 1
    assert "has no topic 'no-such-topic-here'. `manage.py create_topics`" in done.stdout
    assert "no-such-topic-here" not in kafka_admin.list_topics(timeout=10).topics


def test_wrong_options_end_with_2(manage: Manage, tmp_path: Path) -> None:
    assert manage("ingest_file", "x", "--scale", "5:1").returncode == 2
    assert manage("ingest_file", "x", "--dry-run", "--wait").returncode == 2
    assert manage("ingest_file").returncode == 2


class Feed:
    """A named pipe as a file that grows while it is read; it ends with `end`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def write(self, numbers: Iterable[int]) -> None:
        """One event a line; waits while the pipe is full."""
        for number in numbers:
            self.write_bytes(json.dumps(_event(number)).encode() + b"\n")

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


def _stored_count(servers: str, topic: str) -> int:
    return sum(1 for _ in stored_messages(servers, topic))


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
    wait_until(lambda: _stored_count(kafka_bootstrap_servers, topic) == 1_500)
    feed.write_bytes(b'{"recordId":"1","recor')  # half a line is no event
    stop(process)
    assert process.wait() == code
    output = process.output()
    assert _counts(output) == {"read": 1_500, "acknowledged": 1_500, "rejected": 0}
    assert "All before position 1,501 of" in output
    feed.end()
    feed.path.unlink()
    again = _fed_again(start_manage, Feed(feed.path), range(1, 1_601), _way_on(output))
    assert _counts(again)["acknowledged"] == 100
    assert _users(kafka_bootstrap_servers, topic) == Counter(str(number) for number in range(1, 1_601))


def test_a_signal_at_full_speed_loses_no_count(
    start_manage: StartManage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    once = _ndjson(tmp_path / "once.ndjson", 50_000).read_bytes()
    path = tmp_path / "events.ndjson"
    path.write_bytes(once * 40)
    process = start_manage("ingest_file", str(path), "--topic", topic)
    process.wait_for("reading it as ndjson")
    process.interrupt()
    assert process.wait() == 130
    counts = _counts(process.output())
    assert counts["read"] == counts["acknowledged"] == _stored_count(kafka_bootstrap_servers, topic)


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
    wait_until(lambda: _stored_count(private_kafka.address, "ratings") == 1_000)
    end(private_kafka)
    feed.write(range(1_001, 1_301))
    assert process.wait() == 1
    output = process.output()
    counts = _counts(output)
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
    _fed_again(start_manage, Feed(feed.path), range(1, 1_401), _way_on(output), env=env)
    assert set(_users(private_kafka.address, "ratings")) == {str(number) for number in range(1, 1_401)}


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
    assert _counts(process.output())["acknowledged"] == 1_500
    # Idempotence: whatever was sent a second time after the crash is stored once.
    assert _users(private_kafka.address, "ratings") == Counter(str(number) for number in range(1, 1_501))


def test_waiting_brings_the_file_into_the_database(
    start_manage: StartManage, manage: Manage, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = make_topic()
    path = _ndjson(tmp_path / "events.ndjson", 2_000)
    waiting = start_manage("ingest_file", str(path), "--topic", topic, "--group", "g", "--wait")
    waiting.wait_for("manage.py consume_ratings --group g")  # nobody consumes yet: it says so
    consumer = start_manage("consume_ratings", "--topic", topic, "--group", "g")
    assert waiting.wait() == 0, waiting.output()
    counts = _counts(waiting.output())
    assert counts == {"read": 2_000, "acknowledged": 2_000, "rejected": 0, "applied": 2_000, "dead-lettered": 0}
    assert "All of it is in the database." in waiting.output()
    assert Rating.objects.filter(value__isnull=False).count() == 2_000
    consumer.terminate()
    consumer.wait()
    bounded = manage("ingest_file", str(path), "--topic", topic, "--group", "g", "--wait", "--wait-timeout", "1")
    assert bounded.returncode == 4
    assert _counts(bounded.stdout)["outstanding"] == 2_000


def test_ctrl_c_while_waiting_says_that_all_is_in_kafka(
    start_manage: StartManage, make_topic: MakeTopic, tmp_path: Path
) -> None:
    path = _ndjson(tmp_path / "events.ndjson", 10)
    process = start_manage("ingest_file", str(path), "--topic", make_topic(), "--group", "g", "--wait")
    process.wait_for("acknowledged")
    process.interrupt()
    assert process.wait() == 130
    assert "Every event is in Kafka already" in process.output()


def test_memory_does_not_grow_with_the_file(
    manage_environment: Mapping[str, str], make_topic: MakeTopic, tmp_path: Path
) -> None:
    """The short form of the soak below."""
    small = _peak_memory(manage_environment, _ndjson(tmp_path / "small.ndjson", 100_000), make_topic(12))
    large = _peak_memory(manage_environment, _ndjson(tmp_path / "large.ndjson", 300_000), make_topic(12))
    assert large < small + 25_000, f"{small} kB for 100,000 events, {large} kB for 300,000"


@pytest.mark.soak
def test_memory_is_flat_over_five_million_events(
    manage_environment: Mapping[str, str], make_topic: MakeTopic, tmp_path: Path
) -> None:
    half = _ndjson(tmp_path / "half.ndjson", 500_000)
    whole = tmp_path / "whole.ndjson"
    content = half.read_bytes()
    with whole.open("wb") as file:
        for _ in range(10):
            file.write(content)
    small = _peak_memory(manage_environment, half, make_topic(12))
    large = _peak_memory(manage_environment, whole, make_topic(12))
    print(f"peak memory: {small:,} kB for 500,000 events, {large:,} kB for 5,000,000")
    assert large < small + 40_000


@pytest.mark.soak
def test_a_broker_that_is_killed_within_five_million_events(
    start_manage: StartManage, private_kafka: PrivateServer, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.address}
    assert start_manage("create_topics", env=env).wait() == 0
    path = tmp_path / "whole.ndjson"
    path.write_bytes(_ndjson(tmp_path / "half.ndjson", 500_000).read_bytes() * 10)
    process = start_manage("ingest_file", str(path), "--timeout", "10", env=env)
    wait_until(
        lambda: any(int(share) >= 40 for share in re.findall(r"(\d+)%", process.output())),
        timeout=300,
        message=process.output,
    )
    private_kafka.kill()
    assert process.wait(timeout=90) == 1
    output = process.output()
    counts = _counts(output)
    assert counts["acknowledged"] + counts["unacknowledged"] == counts["read"] < 5_000_000
    place = int(_way_on(output)[_way_on(output).index("--start-at") + 1])
    private_kafka.start()
    stored = _stored_count(private_kafka.address, "ratings")
    print(f"{counts}, went on from line {place:,}; stored {stored:,}")
    assert place - 1 <= counts["acknowledged"] <= stored <= counts["read"]


def _peak_memory(environment: Mapping[str, str], path: Path, topic: str) -> int:
    """Sends the file in a process of its own, which reports its peak of resident memory in kB."""
    code = (
        "import atexit, re, runpy, sys\n"
        "def peak():\n"
        "    status = open('/proc/self/status').read()\n"
        "    print('VmHWM', re.search(r'VmHWM:\\s+(\\d+) kB', status)[1], flush=True)\n"
        "atexit.register(peak)\n"
        "sys.argv = ['manage.py', *sys.argv[1:]]\n"
        "runpy.run_path('manage.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "ingest_file", str(path), "--topic", topic],
        cwd=PROJECT_ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = _counts(done.stdout)
    assert counts["acknowledged"] == counts["read"] > 0
    return int(done.stdout.rpartition("VmHWM ")[2])


def _way_on(output: str, *changes: str) -> list[str]:
    """The arguments of the command that the output says to go on with; `changes` come last and so win."""
    command = re.search(r"To go on from there.*?: manage.py (.*)$", output, flags=re.MULTILINE)
    assert command is not None, output
    words = shlex.split(command[1])
    return [words[0], *words[1 : words.index("--")], *changes, *words[words.index("--") :]]

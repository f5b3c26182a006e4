"""`manage.py ingest_file` as a real process: what it sends, what it rejects, and its exit codes."""

import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ratings.events import decode_event
from ratings.models import Rating
from tests.fixtures.processes import Manage, StartManage
from tests.fixtures.stored import stored_messages
from tests.fixtures.topics import MakeTopic
from tests.sent_files import sent_event, stored_users, summary_counts, way_on, write_ndjson

NO_BROKER = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


def test_every_event_is_acknowledged_and_stored(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic(partitions=4)
    path = write_ndjson(tmp_path / "events.ndjson", 5_000)
    done = manage("ingest_file", str(path), "--topic", topic)
    assert done.returncode == 0, done.stderr
    assert summary_counts(done.stdout) == {"read": 5_000, "acknowledged": 5_000, "rejected": 0}
    assert "reading it as ndjson" in done.stderr
    assert stored_users(kafka_bootstrap_servers, topic) == Counter(str(number) for number in range(1, 5_001))


def test_several_files_of_several_kinds_and_standard_input(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    (tmp_path / "a.json").write_text(json.dumps([sent_event(1), sent_event(2)]))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"record_id,user_id,value\n7,3,5\n"))
    (tmp_path / "c").write_bytes(zstandard.compress(b"userId,movieId,rating,timestamp\n4,31,2.5,1\n"))
    (tmp_path / "d.tsv").write_bytes(b"tconst\taverageRating\tnumVotes\ntt1\t5.7\t9\n")
    paths = [str(tmp_path / name) for name in ("a.json", "b.csv.gz", "c", "d.tsv")]
    stdin = gzip.compress(json.dumps(sent_event(5, providerId="own")).encode())
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
    lines = [json.dumps(sent_event(number)) for number in range(1, 6)]
    path.write_text("\n".join([*lines[:3], "", json.dumps(sent_event(9, ratingValue=11)), *lines[3:]]))
    done = manage("ingest_file", str(path), "--topic", topic)
    assert done.returncode == 1
    assert summary_counts(done.stdout) == {"read": 4, "acknowledged": 3, "rejected": 1}
    assert f"{path}:5: ratingValue: 11 is not a number from 0 to 10" in done.stdout
    again = manage(*way_on(done.stdout, "--start-at", "6"))
    assert again.returncode == 0, again.stdout
    assert stored_users(kafka_bootstrap_servers, topic) == Counter("12345")


def test_skipping_invalid_events_has_an_exit_code_of_its_own(
    manage: Manage, make_topic: MakeTopic, kafka_bootstrap_servers: str, tmp_path: Path
) -> None:
    topic = make_topic()
    path = tmp_path / "events.csv"
    path.write_text("recordId,userId,value\n1,a,5\n2,b\n3,c,11\n4,d,6\n")
    done = manage("ingest_file", str(path), "--topic", topic, "--on-error", "skip")
    assert done.returncode == 3
    assert summary_counts(done.stdout) == {"read": 4, "acknowledged": 2, "rejected": 2}
    assert f"{path}:3: it has 2 columns where the header has 3" in done.stdout
    assert f"{path}:4: ratingValue: 11.0 is not a number" in done.stdout
    assert stored_users(kafka_bootstrap_servers, topic) == Counter("ad")


def test_a_dry_run_needs_no_broker_and_finds_everything(manage: Manage, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps([sent_event(1), sent_event(2, userId=""), sent_event(3)], indent=1))
    done = manage("ingest_file", str(path), "--dry-run", "--on-error", "skip", env=NO_BROKER)
    assert done.returncode == 3
    assert summary_counts(done.stdout) == {"read": 3, "valid": 2, "rejected": 1}
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
    path = write_ndjson(tmp_path / "events.ndjson", 1_234)
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
    path = write_ndjson(tmp_path / "events.ndjson", 1)
    done = manage("ingest_file", str(path), "--topic", "no-such-topic-here")
    assert done.returncode == 1
    assert "has no topic 'no-such-topic-here'. `manage.py create_topics`" in done.stdout
    assert "no-such-topic-here" not in kafka_admin.list_topics(timeout=10).topics


def test_wrong_options_end_with_2(manage: Manage, tmp_path: Path) -> None:
    assert manage("ingest_file", "x", "--scale", "5:1").returncode == 2
    assert manage("ingest_file", "x", "--dry-run", "--wait").returncode == 2
    assert manage("ingest_file").returncode == 2


def test_waiting_brings_the_file_into_the_database(
    start_manage: StartManage, manage: Manage, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = make_topic()
    path = write_ndjson(tmp_path / "events.ndjson", 2_000)
    waiting = start_manage("ingest_file", str(path), "--topic", topic, "--group", "g", "--wait")
    waiting.wait_for("manage.py consume_ratings --group g")  # nobody consumes yet: it says so
    consumer = start_manage("consume_ratings", "--topic", topic, "--group", "g")
    assert waiting.wait() == 0, waiting.output()
    counts = summary_counts(waiting.output())
    assert counts == {"read": 2_000, "acknowledged": 2_000, "rejected": 0, "applied": 2_000, "dead-lettered": 0}
    assert "All of it is in the database." in waiting.output()
    assert Rating.objects.filter(value__isnull=False).count() == 2_000
    consumer.terminate()
    consumer.wait()
    bounded = manage("ingest_file", str(path), "--topic", topic, "--group", "g", "--wait", "--wait-timeout", "1")
    assert bounded.returncode == 4
    assert summary_counts(bounded.stdout)["outstanding"] == 2_000


def test_ctrl_c_while_waiting_says_that_all_is_in_kafka(
    start_manage: StartManage, make_topic: MakeTopic, tmp_path: Path
) -> None:
    path = write_ndjson(tmp_path / "events.ndjson", 10)
    process = start_manage("ingest_file", str(path), "--topic", make_topic(), "--group", "g", "--wait")
    process.wait_for("acknowledged")
    process.interrupt()
    assert process.wait() == 130
    assert "Every event is in Kafka already" in process.output()

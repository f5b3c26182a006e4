"""`manage.py consume_ratings` as a process, on the real broker and the real database."""

import json
import re
import uuid
from urllib.parse import urlsplit

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition

from ratings.selectors import aggregate_get
from tests.librdkafka import produce_with_header_name
from tests.rating_load import RatingLoad, owned, positions
from tests.rating_tables import assert_consistent, own_connection, standing
from tests.waiting import wait_until
from workers.ingestion.models import DeadLetter


@pytest.fixture
def produce(kafka_bootstrap_servers):
    producer = Producer(
        {
            "bootstrap.servers": kafka_bootstrap_servers,
            "partitioner": "murmur2_random",
            "linger.ms": 0,
            "enable.idempotence": True,
        }
    )

    def send(topic, *values, key=None, partition=-1, headers=None):
        for value in values:
            payload = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
            producer.produce(topic, payload, key, partition, headers=headers)
        assert producer.flush(30) == 0

    return send


# A member that dies is noticed this soon; others leave the group in words.
QUICK = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}


def put(user, rating, *, record="1", **more):
    event = {"recordId": record, "recordType": "movie", "userId": user, "ratingValue": rating, "eventType": "put"}
    return event | more


def delete(user, *, record="1"):
    return {"recordId": record, "recordType": "movie", "userId": user, "eventType": "delete"}


def book(user, rating, *, record="1"):
    """The tutorial's dialect."""
    event = put(user, None, record=record, providerId="test-provider", value=rating)
    del event["ratingValue"]
    return event


def average(record="1"):
    aggregate = aggregate_get(record_type="movie", record_id=record)
    return None if aggregate is None else (aggregate.average, aggregate.count)


def catch_up(manage, topic, *more, **options):
    done = manage("consume_ratings", "--topic", topic, "--until-caught-up", *more, **options)
    assert done.returncode == 0, done.stderr
    assert "take_over_failed" not in done.stderr
    return done


def test_events_of_both_dialects_end_in_the_tables_once_for_each_group(manage, make_topic, produce):
    topic = make_topic(partitions=3)
    produce(topic, put("a", 4), put("b", 2.5), put("a", 5), put("c", 1), delete("c"), key="movie:1")
    produce(topic, book("a", 7, record="2"), put("z", None, record="2", value=9.5))
    produce(topic, put(7, 3, record=3), put("y", 6, record="3", value=6.0))
    for _ in range(2):
        catch_up(manage, topic)
        assert (average("1"), average("2"), average("3")) == ((3.75, 2), (8.25, 2), (4.5, 2))
    assert sum(positions(topic).values()) == 9
    before = standing("movie")
    catch_up(manage, topic, "--group", "second")
    assert sum(positions(topic, "second").values()) == 9
    assert standing("movie") == before
    assert DeadLetter.objects.count() == 0
    assert_consistent()


POISON = {
    "null": (None, "", "no value"),
    "empty": (b"", "", "no value"),
    "no json": (b"{", "", "not JSON"),
    "not utf-8": (b"\xff\xfe", "", "not UTF-8"),
    "an array": (b"[1]", "", "an array"),
    "deep": (b"[" * 200_000, "", "nested too deeply"),
    "NaN": (b'{"recordId":"1","recordType":"movie","userId":"u","eventType":"put","ratingValue":NaN}', "", "NaN"),
    "infinite": (json.dumps(put("u", 77)).replace("77", "1e999").encode(), "ratingValue", "1e999"),
    "NUL": (json.dumps(put("u\x00", 1)).encode(), "userId", "NUL"),
    "raw NUL": (b'{"recordId":"a\x00"}', "", "not JSON"),
    "half a surrogate pair": (json.dumps(put("u\ud800", 1)).encode(), "userId", "surrogate"),
    "900 kB": (json.dumps(put("u" * 900_000, 1)).encode(), "userId", "900000 characters"),
    "empty id": (json.dumps(put("", 1)).encode(), "userId", "empty"),
    "a list for an id": (json.dumps(put(["u"], 1)).encode(), "userId", "an array"),
    "no record": (b'{"recordType":"movie","userId":"u","eventType":"delete"}', "recordId", "missing"),
    "an unknown kind": (json.dumps({**put("u", 1), "eventType": "upsert"}).encode(), "eventType", "neither"),
    "too high": (json.dumps(put("u", 10.1)).encode(), "ratingValue", "10.1"),
    "too fine": (json.dumps(put("u", 4.35)).encode(), "ratingValue", "4.35"),
    "a text for a value": (json.dumps(put("u", "5")).encode(), "ratingValue", "a text"),
    "true for a value": (json.dumps(put("u", True)).encode(), "ratingValue", "true"),
    "no value": (json.dumps(put("u", None)).encode(), "ratingValue", "a put needs"),
    "two values": (json.dumps(put("u", 4, value=5)).encode(), "ratingValue", "give one of them"),
}


def test_each_message_that_is_no_rating_becomes_one_dead_letter_and_stops_nothing(
    manage, make_topic, produce, kafka_bootstrap_servers
):
    topic = make_topic(partitions=1)
    headers = [("trace", b"\x00\xff"), ("trace", None), ("ü", b"")]
    for value, _, _ in POISON.values():
        produce(topic, value, key=b"k\xff", headers=headers)
    produce_with_header_name(kafka_bootstrap_servers, topic, b"no json", name=b"\xff")
    produce(topic, put("good", 5))
    catch_up(manage, topic)
    letters = list(DeadLetter.objects.order_by("offset"))
    assert [letter.offset for letter in letters] == list(range(len(POISON) + 1))
    assert {letter.attempts for letter in letters} == {1}
    for letter, (value, field, reason) in zip(letters, POISON.values(), strict=False):
        assert (letter.value and bytes(letter.value)) == value
        assert bytes(letter.key) == b"k\xff"
        assert letter.headers == [["trace", "AP8="], ["trace", None], ["ü", ""]]
        assert letter.field == field
        assert reason in letter.reason
    assert "headers are not kept" in letters[-1].reason
    assert average("1") == (5, 1)
    catch_up(manage, topic, "--batch-size", "1")
    assert DeadLetter.objects.count() == len(letters)


def test_caught_up_is_past_ends_that_are_no_message(manage, make_topic, produce, kafka_admin, kafka_bootstrap_servers):
    topic = make_topic(partitions=4)  # empty; with a message; ended by a transaction's marker; emptied by retention
    produce(topic, put("a", 4), partition=1)
    transaction = Producer({"bootstrap.servers": kafka_bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    transaction.init_transactions(30)
    transaction.begin_transaction()
    transaction.produce(topic, json.dumps(put("b", 5)).encode(), partition=2)
    transaction.commit_transaction(30)
    produce(topic, put("c", 1), put("c", 2), partition=3)
    kafka_admin.delete_records([TopicPartition(topic, 3, 2)])[TopicPartition(topic, 3)].result(30)
    catch_up(manage, topic)
    assert positions(topic) == {0: 0, 1: 1, 2: 2, 3: 2}
    assert average("1") == (4.5, 2)


def test_an_empty_topic_is_caught_up_with(manage, make_topic):
    catch_up(manage, make_topic(partitions=2))


def test_caught_up_is_the_whole_group_though_another_process_owns_every_partition(start_manage, make_topic, produce):
    topic = make_topic(partitions=1)
    owner = start_manage("consume_ratings", "--topic", topic)
    wait_until(lambda: owned(owner) == {0}, message=owner.output)
    produce(topic, *[put(str(user), 5) for user in range(200)])
    other = start_manage("consume_ratings", "--topic", topic, "--until-caught-up")
    assert other.wait() == 0, other.output()
    assert positions(topic) == {0: 200}
    assert average("1") == (5, 200)
    owner.terminate()
    assert owner.wait() == 0


def test_caught_up_waits_for_the_heir_of_a_process_that_dies(start_manage, make_topic, kafka_bootstrap_servers):
    topic = make_topic(partitions=2)
    load = RatingLoad(kafka_bootstrap_servers, topic, partitions=2)
    load.send(200)
    dying = start_manage("consume_ratings", "--topic", topic, env=QUICK)
    load.wait_until_read()
    with own_connection() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE ratings_rating IN SHARE MODE")
        load.send(2_000)
        other = start_manage("consume_ratings", "--topic", topic, "--until-caught-up", env=QUICK)
        other.wait_for("partitions_assigned")
        dying.kill()
    assert other.wait() == 0, other.output()
    load.assert_in_the_tables()


@pytest.mark.parametrize(("signal", "code"), [("terminate", 143), ("interrupt", 130)])
def test_a_stop_before_it_has_caught_up_says_so(start_manage, make_topic, kafka_bootstrap_servers, signal, code):
    topic = make_topic(partitions=1)
    open_transaction = Producer({"bootstrap.servers": kafka_bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    open_transaction.init_transactions(30)
    open_transaction.begin_transaction()
    open_transaction.produce(topic, b"never committed")
    open_transaction.flush(30)
    consumer = start_manage("consume_ratings", "--topic", topic, "--until-caught-up")
    wait_until(lambda: owned(consumer) == {0}, message=consumer.output)
    getattr(consumer, signal)()
    assert consumer.wait(10) == code
    assert "Finishing the batch in hand" in consumer.output()
    assert "Traceback" not in consumer.output()


def test_sigterm_writes_what_was_fetched_and_commits_the_position(
    start_manage, make_topic, kafka_admin, kafka_bootstrap_servers
):
    topic, group = make_topic(partitions=2), f"g-{uuid.uuid4().hex[:8]}"
    load = RatingLoad(kafka_bootstrap_servers, topic, partitions=2)
    load.send(20_000)
    consumer = start_manage("consume_ratings", "--topic", topic, "--group", group, "--batch-size", "500")
    wait_until(lambda: load.position() > 0)
    consumer.terminate()
    assert consumer.wait(20) == 0
    assert "Traceback" not in consumer.output()
    read = json.loads(consumer.output().splitlines()[-1])
    assert read["event"] == "consumer_stopped"
    assert load.position() == read["applied"] + read["dead_lettered"]
    told = kafka_admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(10)
    assert {found.partition: found.offset for found in told.topic_partitions} == {
        partition: offset for partition, offset in positions(topic, group).items() if offset
    }
    second = start_manage("consume_ratings", "--topic", topic, "--group", group, "--until-caught-up")
    assert second.wait() == 0
    load.assert_in_the_tables()


def test_a_second_signal_ends_at_once_and_loses_nothing(start_manage, manage, make_topic, kafka_bootstrap_servers):
    topic = make_topic(partitions=1)
    load = RatingLoad(kafka_bootstrap_servers, topic, partitions=1)
    with own_connection() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE ratings_rating IN SHARE MODE")
        load.send(500)
        consumer = start_manage("consume_ratings", "--topic", topic, env=QUICK)
        with own_connection() as watcher:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
            wait_until(lambda: watcher.execute(waiting, [blocker.info.backend_pid]).fetchone(), message=consumer.output)
        consumer.terminate()
        consumer.wait_for("Finishing the batch in hand")
        assert consumer.popen.poll() is None
        consumer.terminate()
        assert consumer.wait(5) == 143
    catch_up(manage, topic)
    load.assert_in_the_tables()


def test_a_topic_that_does_not_exist_is_named_with_what_to_do(manage):
    done = manage("consume_ratings", "--topic", "there-is-none")
    assert done.returncode == 1
    assert re.search(r"no topic 'there-is-none'.*create_topics", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_migrated_is_told_with_what_to_do(manage, make_topic, private_postgres):
    done = manage("consume_ratings", "--topic", make_topic(1), env={"DATABASE_URL": private_postgres.address})
    assert done.returncode == 1
    assert "run `manage.py migrate`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("part", "instead"), [("path", "/no-such-database"), ("netloc", "nobody-we-know:wrong@{address}")]
)
def test_a_database_that_lets_us_not_in_is_not_waited_for(manage, manage_environment, make_topic, part, instead):
    url = urlsplit(manage_environment["DATABASE_URL"])
    changed = {part: instead.format(address=url.netloc.rpartition("@")[2])}
    done = manage("consume_ratings", "--topic", make_topic(), env={"DATABASE_URL": url._replace(**changed).geturl()})
    assert done.returncode == 1
    assert "check DATABASE_URL" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--batch-size", "0"], "batch-size"),
        (["--batch-size", "100001"], "100000"),
        (["--topic", "a b"], "--topic"),
        (["--group", ""], "--group"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(manage, arguments, said):
    done = manage("consume_ratings", *arguments)
    assert done.returncode == 2
    assert said in done.stderr

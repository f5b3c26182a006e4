"""Bad messages of every kind, and valid ones that the database refuses: one dead letter each, all else is applied."""

import itertools
import json
import random
import re

import pytest
from confluent_kafka import Producer

from tests.librdkafka import produce_with_header_name
from tests.poison import BAD, ODD, Oddity, event, meaning, mutations
from tests.rating_load import positions
from tests.rating_tables import assert_consistent, own_connection, standing
from tests.waiting import wait_until
from workers.ingestion.models import ConsumerOffset, DeadLetter

# Kafka refuses times in the future and large messages by itself unless it is told otherwise.
ANYTHING_GOES = {
    "message_timestamp_type": "CreateTime",
    "message_timestamp_after_max_ms": 2**62,
    "max_message_bytes": 4_000_000,
}
SESSIONS = {"KAFKA_CONFIG_SESSION_TIMEOUT_MS": "1500", "KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS": "300"}

REFUSE = """
ALTER TABLE ratings_rater ADD CONSTRAINT no_robots CHECK (user_id NOT LIKE 'robot%');
CREATE FUNCTION refuse_unlucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 13 THEN RAISE EXCEPTION 'rater % is out of luck', NEW.rater_id; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER unlucky BEFORE INSERT OR UPDATE ON ratings_rating FOR EACH ROW EXECUTE FUNCTION refuse_unlucky();
CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 17 THEN RAISE check_violation USING TABLE = TG_TABLE_NAME, CONSTRAINT = 'late'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON ratings_rating DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_late();
"""
ALLOW = """
ALTER TABLE ratings_rater DROP CONSTRAINT IF EXISTS no_robots;
DROP FUNCTION IF EXISTS refuse_unlucky, refuse_late CASCADE;
"""
REFUSED = tuple(
    Oddity(name=name, value=event(recordType="refused", **changes), field=field, reason=reason)
    for name, changes, field, reason in (
        (
            "a constraint on a rater",
            {"userId": "robot 1"},
            "userId",
            "(SQLSTATE 23514), table ratings_rater, constraint no_robots",
        ),
        ("another such", {"userId": "robot 2", "eventType": "delete"}, "userId", "no_robots"),
        ("a trigger", {"userId": "a", "ratingValue": 1.3}, "", "(SQLSTATE P0001), function refuse_unlucky"),
        ("a trigger on a known rating", {"userId": "b", "ratingValue": 1.3}, "", "refuse_unlucky"),
        (
            "a deferred constraint",
            {"userId": "c", "ratingValue": 1.7},
            "",
            "(SQLSTATE 23514), table ratings_rating, constraint late",
        ),
    )
)


@pytest.fixture
def refusing(transactional_db):
    """A database with rules of its own."""
    with own_connection() as owner:
        owner.execute(REFUSE)
    yield
    with own_connection() as owner:
        owner.execute(ALLOW)


class Sent:
    """What a topic has been sent: by place, and what must stand once all that means something is applied."""

    def __init__(self, servers, topic):
        self.servers = servers
        self.topic = topic
        self.at = {}
        self.ends = {}
        self._producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 4_000_000, "linger.ms": 5})

    def send(self, *messages, partition=0):
        for message in messages:
            self._producer.poll(0)
            while True:
                try:
                    self._produce(message, partition)
                    break
                except BufferError:
                    self._producer.poll(0.1)

    def send_with_header_name(self, message, *, partition=0):
        """A header's name that is not UTF-8, which the client cannot send, and cannot read."""
        self.flush()
        produce_with_header_name(self.servers, self.topic, message.value, name=b"\xff", partition=partition)
        self.at[partition, self.ends[partition]] = message
        self.ends[partition] += 1

    def flush(self):
        assert self._producer.flush(60) == 0

    def wait_until_read(self, process):
        self.flush()
        wait_until(lambda: positions(self.topic).items() >= self.ends.items(), 300, message=process.output)

    def expected(self, letters=None):
        """The table's model: every message that is a rating, in order, but for those that are dead letters."""
        table = {}
        for place, message in sorted(self.at.items()):
            found = meaning(message.value)
            if found is not None and place not in (letters or {}):
                table[found[:4]] = found[4]
        return table

    def _produce(self, message, partition):
        self._producer.produce(
            self.topic,
            message.value,
            message.key,
            partition,
            on_delivery=self._arrived(message),
            timestamp=message.milliseconds,
            headers=[*message.headers] or None,
        )

    def _arrived(self, message):
        def on_delivery(error, delivered):
            assert error is None, error
            self.at[delivered.partition(), delivered.offset()] = message
            self.ends[delivered.partition()] = delivered.offset() + 1

        return on_delivery


@pytest.fixture
def anything_goes(make_topic, kafka_bootstrap_servers):
    """A topic of three partitions that takes whatever it is sent."""
    return Sent(kafka_bootstrap_servers, make_topic(partitions=3, **ANYTHING_GOES))


def letters_of(topic):
    """The dead letters by place, each of which was tried once."""
    rows = list(DeadLetter.objects.filter(topic=topic))
    assert {row.attempts for row in rows} <= {1}
    found = {(row.partition, row.offset): row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_letters(sent, bad):
    """One for each bad message, verbatim, with the right field and reason; none for any other."""
    letters = letters_of(sent.topic)
    wanted = {place: message for place, message in sent.at.items() if message in bad}
    assert {sent.at[place].name for place in letters.keys() - wanted.keys()} == set(), "letters of good messages"
    assert {wanted[place].name for place in wanted.keys() - letters.keys()} == set(), "bad messages without a letter"
    for place, message in wanted.items():
        letter = letters[place]
        assert (letter.field, message.name) == (message.field, message.name), letter.reason
        assert message.reason in letter.reason, message.name
        assert (letter.value and bytes(letter.value), letter.key and bytes(letter.key)) == (message.value, message.key)
        assert len(letter.headers) == len(message.headers)
    return letters


def assert_table(expected):
    found = {}
    for record_type in {key[0] for key in expected}:
        found |= {key: rating.tenths for key, rating in standing(record_type).items()}
    assert found == expected
    assert_consistent()


def good(draw):
    """An ordinary event."""
    record = str(draw.randrange(40))
    changes = {"recordId": record, "userId": f"user {draw.randrange(500)}", "ratingValue": draw.choice((0, 4.5, 9, 10))}
    if draw.random() < 0.1:
        changes |= {"eventType": "delete", "ratingValue": ...}
    value = event(**changes)
    return int(record) % 3, Oddity(name="good", value=value, key=b"movie:" + record.encode())


def of_its_own_type(number, message):
    """A message whose effect no other one hides."""
    return Oddity(**{**as_fields(message), "value": message.value.replace(b'"movie"', b'"odd %d"' % number)})


def as_fields(message):
    return {name: getattr(message, name) for name in message.__dataclass_fields__}


def send_in_between(sent, specials, *, every, seed=1):
    """The special messages at random places among ordinary ones, `every` of these for each, and all of them sent."""
    draw = random.Random(seed)
    for special in draw.sample(specials, len(specials)):
        for partition, message in (good(draw) for _ in range(every)):
            sent.send(message, partition=partition)
        sent.send(special, partition=draw.randrange(3))
    sent.flush()


def check_every_kind(sent, start_manage, *, every):
    odd = [of_its_own_type(number, message) for number, message in enumerate(ODD)]
    earlier = [event(recordType="refused", userId=user, ratingValue=5) for user in "abc"]
    consumer = start_manage("consume_ratings", "--topic", sent.topic, env=SESSIONS)
    send_in_between(sent, [*BAD, *odd], every=every)
    nameless = [Oddity(name="nameless header", value=b"{", reason="its headers are not kept", key=None)]
    sent.send_with_header_name(nameless[0])
    sent.send_with_header_name(Oddity(name="nameless header", value=event(recordType="odd header"), key=None))
    for value, bad in zip([None, None, *earlier], REFUSED, strict=True):
        sent.send(*([Oddity(name="before it", value=value)] if value else []), bad, partition=1)
    sent.wait_until_read(consumer)
    assert consumer.popen.poll() is None, consumer.output()
    assert_letters(sent, {*BAD, *REFUSED, *nameless})
    expected = sent.expected(letters_of(sent.topic))
    assert {("refused", "1", "", user): 50 for user in "abc"}.items() <= expected.items()
    assert_table(expected)
    logged = [line for line in consumer.output().splitlines() if "refused" in line]
    assert logged
    assert "out of luck" not in consumer.output()  # the trigger's own words may quote the row
    consumer.terminate()
    assert consumer.wait() == 0


def test_one_bad_message_of_every_kind_becomes_one_dead_letter_each_and_all_else_is_applied(
    refusing, anything_goes, start_manage
):
    check_every_kind(anything_goes, start_manage, every=75)
    assert sum(anything_goes.ends.values()) > 10_000


@pytest.mark.soak
def test_one_bad_message_in_ten_thousand(refusing, anything_goes, start_manage):
    check_every_kind(anything_goes, start_manage, every=10_000)


def check_mutations(sent, manage, *, seed, count):
    sent.send(
        *(
            Oddity(name=f"mutation {number} of seed {seed}", value=value)
            for number, value in enumerate(itertools.islice(mutations(seed), count))
        )
    )
    sent.send(Oddity(name="the last", value=event(recordType="last")))
    sent.flush()
    done = manage("consume_ratings", "--topic", sent.topic, "--until-caught-up", "--max-dead-letters", "1", timeout=300)
    assert done.returncode == 0, done.stderr
    assert positions(sent.topic)[0] == count + 1
    letters = letters_of(sent.topic)
    table = {}
    for place, message in sorted(sent.at.items()):
        found = meaning(message.value)
        if place not in letters and found is None and not is_utf8(message.value):
            # What the event does not need is not looked at, not even whether it is UTF-8.
            found = meaning(message.value.decode(errors="replace").encode())
        assert (place in letters) == (found is None), message
        if found is not None:
            table[found[:4]] = found[4]
    assert 0.5 < len(letters) / count < 0.9
    assert_table(table)


def is_utf8(value):
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_ten_thousand_random_mutations_are_each_applied_or_one_dead_letter(anything_goes, manage):
    check_mutations(anything_goes, manage, seed=4, count=10_000)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_hundred_thousand_random_mutations(anything_goes, manage, seed):
    check_mutations(anything_goes, manage, seed=seed, count=100_000)


def consume(manage, sent, *more):
    return manage("consume_ratings", "--topic", sent.topic, "--until-caught-up", *more)


def test_a_topic_of_something_else_stops_the_worker_and_nothing_is_dropped(anything_goes, manage):
    sent = anything_goes
    sent.send(*[Oddity(name="foreign", value=b"<order/>")] * 3_000)
    sent.send(Oddity(name="the last", value=event()))
    sent.flush()
    for _ in range(2):  # a restart meets the same
        done = consume(manage, sent)
        assert done.returncode == 1
        assert re.search(
            r"of the last \d+ messages cannot be applied.*offset \d+ of partition 0 \(.*not JSON", done.stderr
        )
        assert "--max-dead-letters" in done.stderr
        assert "Traceback" not in done.stderr
        # What was read before there were a thousand is kept, and all from there on is left for the next start.
        assert len(letters_of(sent.topic)) == sum(positions(sent.topic).values()) < 3_000
    assert consume(manage, sent, "--max-dead-letters", "1").returncode == 0
    assert len(letters_of(sent.topic)) == 3_000
    assert_table(sent.expected())


@pytest.mark.parametrize("delivery", ["exactly-once", "at-most-once"])
def test_a_rule_of_the_database_that_refuses_too_much_stops_the_worker_and_nothing_is_dropped(
    refusing, anything_goes, manage, delivery
):
    sent = anything_goes
    sent.send(*(Oddity(name="robot", value=event(userId=f"robot {number}")) for number in range(2_000)))
    sent.flush()
    done = consume(manage, sent, "--delivery", delivery)
    assert done.returncode == 1
    assert "no_robots" in done.stderr
    assert "nothing is lost" in done.stderr
    assert len(letters_of(sent.topic)) == sum(positions(sent.topic).values()) < 2_000
    kept = letters_of(sent.topic)
    with own_connection() as owner:
        owner.execute(ALLOW)
    assert consume(manage, sent, "--delivery", delivery).returncode == 0
    assert letters_of(sent.topic).keys() == kept.keys()
    assert_table(sent.expected(kept))
    assert set(ConsumerOffset.objects.filter(topic=sent.topic).values_list("skipped", flat=True)) == {0}


def test_a_worker_waits_for_ids_that_have_run_out_and_blames_no_message(anything_goes, start_manage):
    sent = anything_goes
    with own_connection() as owner:
        owner.execute("SELECT setval(pg_get_serial_sequence('ratings_rater', 'id'), 2147483647)")
        try:
            consumer = start_manage("consume_ratings", "--topic", sent.topic, env=SESSIONS)
            sent.send(*(Oddity(name="good", value=event(userId=f"user {number}")) for number in range(20)))
            consumer.wait_for("store_unavailable")
            reasons = [json.loads(line) for line in consumer.output().splitlines() if "store_unavailable" in line]
            assert "ratings_rater_id_seq" in reasons[-1]["reason"]
            assert letters_of(sent.topic) == {}
        finally:
            owner.execute("SELECT setval(pg_get_serial_sequence('ratings_rater', 'id'), 1)")
    sent.wait_until_read(consumer)
    assert letters_of(sent.topic) == {}
    assert_table(sent.expected())

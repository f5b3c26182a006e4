"""More poison than can be an accident stops the worker and drops nothing; what is no message's fault is waited for."""

import json
import re

import pytest

from tests.poison.messages import Oddity, event
from tests.poison.refusing import ALLOW, refusing
from tests.poison.topic import SESSIONS, anything_goes, assert_table, letters_of
from tests.rating_load import positions
from tests.rating_tables import own_connection
from workers.ingestion.models import ConsumerOffset

__all__ = ["anything_goes", "refusing"]


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

"""The benchmark's events: the same each time, what the contract takes, and with a known end in each partition."""

import numpy as np

from ratings.events import decode_event
from tests.bench.ingest.events import DELETE, PARTITIONS, RECORDS, Events, distinct_ratings, stream
from tests.bench.ingest.expected import expected_of


def test_the_same_arguments_give_the_same_events():
    one, same, other = (list(stream(500, deletes=0.1, seed=seed).payloads(100)) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_messages_are_what_the_contract_takes():
    events = stream(2_000, deletes=0.1, seed=1)

    decoded = [decode_event(payload) for payloads in events.payloads(300) for payload in payloads]

    assert [int(event.record_id) for event in decoded] == events.records.tolist()
    assert [int(event.user_id) for event in decoded] == events.users.tolist()
    assert [DELETE if event.tenths is None else event.tenths for event in decoded] == events.tenths.tolist()
    assert 100 < sum(event.tenths is None for event in decoded) < 300


def test_the_last_events_stand_on_records_that_no_other_event_has():
    events = stream(500, deletes=0.5, seed=1)

    assert events.records[-PARTITIONS:].tolist() == list(range(RECORDS, RECORDS + PARTITIONS))
    assert events.records[:-PARTITIONS].max() < RECORDS
    assert DELETE not in events.tenths[-PARTITIONS:]


def test_distinct_ratings_are_distinct():
    ratings = distinct_ratings(5_000, seed=1)

    assert len(np.unique(ratings.keys)) == len(ratings) == 5_000


def test_what_must_stand_is_what_a_dictionary_ends_with():
    events = stream(3_000, deletes=0.3, seed=1)
    few_users = Events(events.records, events.users % 3, events.tenths)
    last = dict(zip(few_users.keys.tolist(), few_users.tenths.tolist(), strict=True))
    rated = {key: tenths for key, tenths in last.items() if tenths != DELETE}

    expected = expected_of(few_users)

    assert (expected.rows, expected.ratings) == (len(last), len(rated))
    assert expected.total == sum(rated.values()) == sum(expected.totals)
    assert expected.counts[1] == sum(key >> 32 == 1 for key in rated)

"""Batches: which messages they take, and what is left of them when partitions go."""

from tests.unit.consuming.scene import START, put
from workers.ingestion.consuming.batch import Batch, Claim
from workers.kafka.memory import MemoryMessage

NOW = START * 1000


def message(offset, *, partition=0, value=None, kind=1, milliseconds=START, headers=None):
    payload = put(f"u{offset}", 5) if value is None else value
    return MemoryMessage(partition, offset, b"k", payload, headers, (kind, milliseconds))


def built(*messages, claims=None):
    batch = Batch()
    batch.add(messages, claims or {0: Claim(1, 0), 1: Claim(1, 0)}, now=NOW)
    return batch


def ranges(batch):
    return {part.partition: (part.start, part.end, len(part.events)) for part in batch}


def test_a_slice_stands_for_all_offsets_from_the_claim_on():
    batch = built(message(5), message(7), claims={0: Claim(3, 4)})
    assert ranges(batch) == {0: (4, 8, 2)}
    assert next(iter(batch)).epoch == 3


def test_an_offset_counts_once():
    assert ranges(built(message(0), message(1), message(1), message(0))) == {0: (0, 2, 2)}


def test_what_was_put_into_an_earlier_batch_is_dropped():
    batch = built(message(3), message(4), claims={0: Claim(1, 4)})
    assert ranges(batch) == {0: (4, 5, 1)}


def test_partitions_that_are_not_claimed_are_dropped_in_between():
    batch = built(message(0), message(0, partition=2), message(1), message(0, partition=1))
    assert ranges(batch) == {0: (0, 2, 2), 1: (0, 1, 1)}
    assert batch.messages == 3


def test_an_end_never_goes_back():
    claims = {0: Claim(1, 5)}
    batch = Batch()
    batch.pass_end({0: 3, 9: 4}, claims)
    assert not batch
    batch.add([message(5)], claims, now=NOW)
    batch.pass_end({0: 4}, claims)
    assert ranges(batch) == {0: (5, 6, 1)}
    batch.pass_end({0: 9}, claims)
    assert ranges(batch) == {0: (5, 9, 1)}


def test_slices_come_in_the_order_of_their_partitions():
    batch = built(message(0, partition=1), message(0))
    assert [part.partition for part in batch] == [0, 1]


def test_messages_and_bytes_are_those_of_the_slices_that_are_left():
    batch = built(message(0), message(0, partition=1, value=b"x" * 70), message(1, partition=1, value=b""))
    assert (batch.messages, batch.bytes) == (3, len(put("u0", 5)) + 70 + 2 * 16)  # sampled keys too
    left = batch.without({0})
    assert (left.messages, left.bytes) == (2, 70 + 16)
    assert ranges(batch.only({0: Claim(1, 0), 1: Claim(2, 0)})) == {0: (0, 1, 1)}


def test_a_time_that_the_broker_did_not_give_is_now():
    batch = built(message(0, kind=0, milliseconds=-1), message(1, milliseconds=START - 5))
    assert next(iter(batch)).times == [NOW, NOW]


def test_times_rise_from_where_the_partition_stands_up_to_now():
    stamps = [
        (1, START - 3),
        (1, START - 2),
        (1, START - 2),
        (1, START - 1),
        (1, -1),
        (0, -1),
        (1, START - 1),
        (1, 2**63),
    ]
    batch = built(
        *[message(offset, kind=kind, milliseconds=stamp) for offset, (kind, stamp) in enumerate(stamps)],
        claims={0: Claim(1, 0, latest_time=NOW - 1_500)},
    )
    (part,) = batch
    assert part.times == [NOW - 1_500] * 3 + [NOW - 1_000] * 2 + [NOW] * 3
    assert part.latest_time == NOW


def test_time_stands_still_while_the_clock_is_behind_the_partition():
    later = NOW + 700_000
    (part,) = built(
        message(0, milliseconds=START + 900), message(1, kind=0), claims={0: Claim(1, 0, latest_time=later)}
    )
    assert (part.times, part.latest_time) == ([later, later], later)


def test_headers_count_as_much_as_a_sample_of_them_says():
    batch = built(
        *[message(offset, value=b"", headers=[("ab", b"c" * 98), ("no value", None)]) for offset in range(48)]
    )
    assert batch.bytes == 48 * (1 + 108)


def test_each_event_keeps_its_message():
    (part,) = built(message(0), message(1, value=b"no json"), message(2))
    assert [kept.offset() for kept in part.messages] == [0, 2]


def test_a_message_that_is_no_event_is_kept_verbatim():
    (part,) = built(message(0, value=b"no json", headers=[("a", b"1"), ("a", None)]))
    (letter,) = part.letters
    assert (letter.offset, letter.key, letter.value, letter.time) == (0, b"k", b"no json", NOW)
    assert list(letter.headers) == [("a", b"1"), ("a", None)]
    assert letter.reason

"""The breaker on dead letters: when it trips, and what it says then."""

from argparse import ArgumentTypeError

import pytest

from tests.ingestion_stores import letter
from workers.ingestion.consuming.batch import Batch, Slice
from workers.ingestion.consuming.breaker import DeadLetterBreaker
from workers.ingestion.errors import TooManyDeadLetters
from workers.ingestion.management.commands.consume_ratings import share


def batch(*offsets, partition=3):
    letters = [letter(offset) for offset in offsets]
    return Batch([Slice(partition=partition, epoch=1, start=0, end=9_999, latest_time=0, letters=letters)])


@pytest.mark.parametrize(
    ("ratio", "messages", "most"),
    [
        (0.1, 999, 999),  # too few messages to say anything
        (0.1, 1_000, 100),
        (0.01, 1_000, 99),  # fewer than a hundred letters never trip
        (0.1, 20_000, 2_000),
        (0.29, 10_000, 2_900),  # 0.29 * 10,000 is 2899.9999999999995
        (1.0, 20_000, 20_000),
    ],
)
def test_what_a_first_batch_may_bring(ratio, messages, most):
    assert DeadLetterBreaker(ratio).allowance(messages).most == most


def test_the_batches_before_it_are_weighed_with_it():
    breaker = DeadLetterBreaker(0.1)
    for _ in range(9):
        breaker.count(messages=100, letters=10)
    assert breaker.allowance(99).most >= 99
    assert breaker.allowance(100).most == 10
    assert breaker.allowance(200).most == 20


def test_what_was_long_ago_is_forgotten():
    breaker = DeadLetterBreaker(0.1)
    for _ in range(20):
        breaker.count(messages=1_000, letters=0)
    assert breaker.allowance(1_000).most == 1_000  # ten thousand messages are weighed
    breaker.count(messages=1_000, letters=1_000)
    for _ in range(9):
        assert breaker.allowance(1_000).most == 0
        breaker.count(messages=1_000, letters=0)
    assert breaker.allowance(1_000).most == 1_000


def test_a_long_batch_is_weighed_by_itself():
    breaker = DeadLetterBreaker(0.1)
    breaker.count(messages=20_000, letters=0)
    assert breaker.allowance(20_000).most == 2_000


def test_a_small_batch_is_weighed_with_the_long_one_before_it():
    breaker = DeadLetterBreaker(0.1)
    breaker.count(messages=20_000, letters=1_900)
    assert breaker.allowance(1_000).most == 1_000 - 855  # nine thousand of the twenty are still weighed


@pytest.mark.parametrize("batch_size", [100, 500, 1_000, 2_000])
def test_garbage_after_a_long_good_batch_trips_within_a_tenth_of_the_window(batch_size):
    breaker = DeadLetterBreaker(0.1)
    breaker.count(messages=50_000, letters=0)
    passed = 0
    while batch_size <= breaker.allowance(batch_size).most:
        breaker.count(messages=batch_size, letters=batch_size)
        passed += batch_size
    assert passed == (1_000 if batch_size <= 1_000 else 0)


def test_garbage_long_ago_in_a_long_batch_leaves_the_window_message_by_message():
    breaker = DeadLetterBreaker(0.2)
    breaker.count(messages=50_000, letters=10_000)
    tolerated = []
    for _ in range(11):
        tolerated.append(breaker.allowance(1_000).most)
        breaker.count(messages=1_000, letters=0)
    assert tolerated == [200, 400, 600, 800, 1_000, 1_200, 1_400, 1_600, 1_800, 2_000, 2_000]


def test_to_weigh_a_batch_changes_nothing():
    """What is left of a batch, without a partition that was lost, is weighed as if it had been so from the first."""
    breaker = DeadLetterBreaker(0.1)
    for letters in (900, 0, 0):
        breaker.count(messages=3_000, letters=letters)
    assert breaker.allowance(20_000).most == 2_000
    assert breaker.allowance(1_000).most == 100


def test_a_batch_without_messages_weighs_nothing():
    breaker = DeadLetterBreaker(0.1)
    for messages in (0, 20_000, 0):
        breaker.count(messages=messages, letters=0)
    assert breaker.allowance(5_000).most == 1_000


def test_a_batch_without_a_letter_never_trips():
    breaker = DeadLetterBreaker(0.1)
    breaker.count(messages=999, letters=999)
    allowance = breaker.allowance(1)
    assert allowance.most == 0
    allowance.check(batch())
    with pytest.raises(TooManyDeadLetters):
        allowance.check(batch(7))


def test_a_limit_of_one_never_trips():
    breaker = DeadLetterBreaker(1.0)
    for _ in range(30):
        breaker.allowance(1_000).check(batch(*range(1_000)))
        breaker.count(messages=1_000, letters=1_000)


def test_exactly_the_limit_does_not_trip():
    allowance = DeadLetterBreaker(0.1).allowance(1_000)
    allowance.check(batch(*range(100)))
    with pytest.raises(TooManyDeadLetters):
        allowance.check(batch(*range(101)))


def test_the_error_says_how_many_where_why_and_how_to_go_on():
    with pytest.raises(TooManyDeadLetters) as raised:
        DeadLetterBreaker(0.25).allowance(1_000).check(batch(*range(40, 300)))
    said = str(raised.value)
    for part in (
        "Some 260 or more of the last 1000 messages",
        "more than the share of 0.25",
        "offset 40 of partition 3 (ratingValue: it is wrong)",
        "nothing is lost",
        "`manage.py dead_letters list`",
        "--max-dead-letters",
    ):
        assert part in said


@pytest.mark.parametrize("text", ["0", "-0.1", "1.01", "nan", "inf", "ten", ""])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(ArgumentTypeError):
        share(text)


def test_a_share_is_above_nought_and_at_most_one():
    assert (share("0.05"), share("1")) == (0.05, 1.0)

"""Finding the events that a database refuses: by trials alone, in few of them, whatever it has against them."""

import math
import random

import pytest

from ratings.events import RatingEvent, decode_event
from tests.ingestion_stores import letter
from tests.unit.consuming.scene import START, put
from workers.ingestion.consuming.batch import Batch, Slice
from workers.ingestion.consuming.poison import find_refused, set_aside
from workers.ingestion.postgres_errors import Refusal
from workers.kafka.memory import MemoryMessage

NO = Refusal("userId", "the database refuses it")


class Database:
    """Refuses by a rule over the events that are tried together, and counts the trials."""

    def __init__(self, refuses):
        self.trials = []
        self._refuses = refuses

    def __call__(self, numbers):
        assert numbers, "nothing to try"
        self.trials.append(len(numbers))
        return NO if self._refuses(list(numbers)) else None


def find(count, refuses, most=10**9, suspects=lambda _: ()):
    database = Database(refuses)
    return find_refused(count, database, most=most, suspects=suspects), database


@pytest.mark.parametrize("bad", [0, 1, 499, 500, 998, 999])
def test_one_refused_event_takes_a_logarithm_of_trials(bad):
    found, database = find(1_000, lambda tried: bad in tried)
    assert found == {bad: NO}
    assert len(database.trials) <= 2 * math.ceil(math.log2(1_000)) + 2
    assert sum(database.trials) <= 4 * 1_000


def test_nothing_refused_is_one_trial():
    found, database = find(1_000, lambda _: False)
    assert (found, database.trials) == ({}, [1_000])


def test_no_event_is_no_trial():
    assert find(0, lambda _: True)[1].trials == []


@pytest.mark.parametrize("seed", range(20))
def test_any_number_of_refused_events_is_found_exactly(seed):
    draw = random.Random(seed)
    count = draw.randrange(1, 300)
    bad = set(draw.sample(range(count), draw.randrange(count + 1)))
    found, database = find(count, lambda tried: not bad.isdisjoint(tried))
    assert found.keys() == bad
    again = len(bad) if len(bad) <= 4 else 0
    assert len(database.trials) <= 2 * len(bad) * (math.ceil(math.log2(count)) + 1) + 2 + again
    assert len(database.trials) <= 2 * count + 2 + again


def test_events_that_are_refused_only_together_are_taken_as_long_as_they_fit():
    found, _ = find(100, lambda tried: len(set(tried) & {10, 11, 60, 61, 62}) > 3)
    assert len(found) == 2
    assert found.keys() < {10, 11, 60, 61, 62}


@pytest.mark.parametrize("seed", range(20))
def test_only_the_last_write_of_a_rating_is_tried_and_what_it_hid_comes_up_without_it(seed):
    """As the write path does: of several writes of one rating it sees the last."""
    draw = random.Random(seed)
    ratings = [draw.randrange(6) for _ in range(60)]
    bad = set(draw.sample(range(60), 20))
    found, _ = find(60, lambda tried: not bad.isdisjoint({ratings[number]: number for number in tried}.values()))
    assert found.keys() <= bad
    left = {ratings[number]: number for number in range(60) if number not in found}
    assert bad.isdisjoint(left.values())
    for rating, last in left.items():  # and the last good write of each rating is still there
        assert last == max(number for number in range(60) if ratings[number] == rating and number not in bad)


def test_a_refusal_that_has_gone_when_it_is_looked_for_refuses_nobody():
    answers = iter([True, False, False, False])
    found, _ = find(1, lambda _: next(answers))
    assert found == {0: NO}  # one event alone was refused: no further trial
    whole = iter([True, False, False])
    assert len(find(2, lambda _: next(whole, False))[0]) == 1


def test_the_search_ends_once_more_than_the_most_are_found():
    found, database = find(100_000, lambda _: True, most=100)
    assert 100 < len(found) <= 102
    assert len(database.trials) < 1_000


def test_who_is_suspected_rightly_takes_one_trial():
    bad = set(range(0, 1_000, 10))
    found, database = find(1_000, bad.intersection, suspects=lambda numbers: sorted(bad.intersection(numbers)))
    assert found == dict.fromkeys(bad, NO)
    assert database.trials == [1_000, 500, 250, *[1] * 25, 250, *[1] * 25, 500, *[1] * 50, 900]


def test_a_wrong_suspicion_refuses_nobody():
    found, database = find(200, lambda tried: 7 in tried, suspects=lambda _: [5, 6, 7, 8])
    assert found == {7: NO}
    assert database.trials == [200, 1, 1, 1, 1, 199]


@pytest.mark.parametrize("count", [1, 8, 40, 400])
def test_no_more_events_are_asked_for_than_are_worth_it_for_those_found(count):
    """Asking costs the server a transaction id and a row for each event."""
    bad, asked = set(range(7, 50_000, 50_000 // count)), []

    def suspects(numbers):
        asked.extend(numbers)
        return sorted(bad.intersection(numbers))

    found, database = find(50_000, bad.intersection, suspects=suspects)
    assert found.keys() == bad
    assert len(asked) <= 256 * (len(bad) + 1)
    assert len(set(asked)) == len(asked)
    assert len(database.trials) <= 2 * len(bad) * 11 + 2


def test_an_event_that_needs_another_one_of_the_batch_is_taken_with_it():
    refuses = lambda tried: 900 in tried or (10 in tried and 700 not in tried)  # noqa: E731
    found, database = find(1_000, refuses, suspects=lambda numbers: [n for n in (10, 900) if n in numbers])
    assert found == {900: NO}
    assert len(database.trials) <= 2 * 2 * 10


def test_events_that_need_one_that_is_refused_are_refused_too():
    found, _ = find(1_000, lambda tried: 900 in tried or (10 in tried and 900 not in tried))
    assert found.keys() == {10, 900}


def test_what_nobody_suspects_is_found_by_halves():
    bad = {3, 500, 501, 999}
    asked = []

    def suspects(numbers):
        asked.append(len(numbers))
        return [] if 3 not in numbers else [3, 4]

    found, database = find(1_000, lambda tried: not bad.isdisjoint(tried), suspects=suspects)
    assert found.keys() == bad
    assert asked[0] == 250
    assert len(database.trials) <= 3 * (2 * 10 + 2) + 4


def test_a_limit_on_the_whole_suspects_none_and_is_kept_to():
    found, _ = find(100, lambda tried: len(tried) > 97)
    assert len(found) == 3


def test_suspects_end_the_search_too_once_more_than_the_most_are_found():
    found, database = find(10_000, lambda _: True, most=100, suspects=lambda numbers: numbers)
    assert len(found) == 101
    assert len(database.trials) <= 102 + 7


def part(partition, offsets, letters=()):
    messages = [
        MemoryMessage(partition, offset, b"k%d" % offset, put(f"u{offset}", 5), [("h", b"v")], (1, START))
        for offset in offsets
    ]
    return Slice(
        partition=partition,
        epoch=4,
        start=0,
        end=100,
        latest_time=9,
        leader_epoch=2,
        events=[decode_event(message.value()) for message in messages],
        times=[START * 1000 + offset for offset in offsets],
        messages=messages,
        letters=[letter(offset) for offset in letters],
        bytes=77,
    )


def test_refused_events_become_letters_in_their_place_and_nothing_else_changes():
    first, second = part(1, [0, 2, 3], letters=[1, 5]), part(2, [7, 8])
    left = set_aside(Batch([first, second]), {1: NO, 4: Refusal("", "it does not fit")})
    one, two = left
    assert [event.user_id for event in one.events] == ["u0", "u3"]
    assert [event.user_id for event in two.events] == ["u7"]
    assert one.times == [START * 1000, START * 1000 + 3]
    assert [message.offset() for message in one.messages] == [0, 3]
    assert [found.offset for found in one.letters] == [1, 2, 5]
    (refused,) = two.letters
    assert (refused.offset, refused.key, refused.value) == (8, b"k8", put("u8", 5))
    assert (refused.headers, refused.time) == ((("h", b"v"),), START * 1000 + 8)
    assert (refused.field, refused.reason) == ("", "it does not fit")
    for before, after in ((first, one), (second, two)):
        assert (after.epoch, after.start, after.end) == (before.epoch, before.start, before.end)
        assert (after.latest_time, after.leader_epoch, after.bytes) == (9, 2, 77)
    assert (left.messages, left.bytes) == (7, 154)
    assert len(first.events) == 3, "the batch itself is as it was"


def test_without_a_refusal_the_slices_are_the_same():
    whole = part(1, [0])
    assert next(iter(set_aside(Batch([whole]), {}))) is whole
    assert whole.events == [RatingEvent("movie", "1", "", "u0", 50)]

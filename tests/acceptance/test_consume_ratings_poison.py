"""Bad messages of every kind, and valid ones that the database refuses: one dead letter each, all else is applied."""

import itertools
import random

import pytest

from tests.poison.meaning import meaning
from tests.poison.messages import BAD, ODD, Oddity, event
from tests.poison.mutations import mutations
from tests.poison.refusing import REFUSED, refusing
from tests.poison.topic import SESSIONS, anything_goes, assert_table, letters_of
from tests.rating_load import positions

__all__ = ["anything_goes", "refusing"]


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

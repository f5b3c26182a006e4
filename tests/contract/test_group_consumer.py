"""What the consume loop relies on in a member of a group, asked of the one in memory and of a real broker."""

import pytest

from tests.contract.group_cluster import Reading, read_for_ever
from workers.kafka.errors import OffsetNotAvailable, TopicMadeAnew
from workers.kafka.group import Start


def test_messages_come_from_the_starts_in_order_with_all_they_have(cluster):
    cluster.append(0, b"a", b"b", b"c", headers=[("h", b"\xff"), ("h", None)])
    cluster.append(1, b"x", None)
    reading = Reading(cluster, p0=Start(1), p1=Start(0, leader_epoch=0))
    reading.until(lambda: len(reading.messages) == 4)
    assert reading.values() == [b"b", b"c"]
    assert reading.values(1) == [b"x", None]
    first = next(message for message in reading.messages if message.partition() == 0)
    assert (first.offset(), first.key(), first.headers()) == (1, b"k", [("h", b"\xff"), ("h", None)])
    assert first.timestamp()[0] in (1, 2)
    assert first.leader_epoch() == 0


def test_ends_are_told_when_there_is_nothing_more_for_now(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: reading.ends == {0: 2, 1: 0})
    cluster.append(0, b"c")
    reading.until(lambda: reading.ends == {0: 3, 1: 0})
    assert reading.source.known_ends([0, 1]) == reading.source.ends([0, 1]) == {0: 3, 1: 0}


def test_an_end_counts_what_is_no_message(cluster):
    cluster.append(0, b"a")
    cluster.mark(0)
    cluster.mark(1)
    reading = Reading(cluster)
    reading.until(lambda: reading.ends.get(0, 0) > 1 and reading.ends.get(1, 0) > 0)
    assert reading.values() == [b"a"]
    assert reading.values(1) == []


def test_the_oldest_offset_is_told(cluster):
    cluster.append(0, b"a", b"b", b"c")
    cluster.delete_before(0, 2)
    reading = Reading(cluster, p0=Start(2))
    assert reading.listener.firsts == {0: 2, 1: 0}
    assert (reading.source.first_offset(0), reading.source.first_offset(1)) == (2, 0)


@pytest.mark.parametrize("start", [Start(0), Start(9)])
def test_a_start_outside_the_topic_is_an_error_and_never_a_jump(cluster, start):
    cluster.append(0, b"a", b"b", b"c")
    cluster.delete_before(0, 2)
    messages = []
    with pytest.raises(OffsetNotAvailable, match="Nothing is skipped without a word"):
        read_for_ever(cluster, messages, p0=start)
    assert [message for message in messages if message.partition() == 0] == []


def test_a_topic_made_anew_is_told_from_the_one_that_it_was(cluster):
    cluster.append(0, b"a")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 1)
    reading.source.check_topic()
    cluster.make_anew()
    with pytest.raises(TopicMadeAnew, match="Start again to read the new topic"):
        reading.source.check_topic()

"""What a member of a group tells Kafka of its positions, and what the next one reads of it."""

from tests.contract.group_cluster import Reading
from workers.kafka.group import Commit, NotCommitted


def test_commits_are_seen_by_others_and_closing_revokes(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    reading.source.commit({0: Commit(2, epoch=1)})
    reading.source.close()
    assert reading.listener.revoked == {0, 1}
    assert reading.listener.lost == set()
    assert cluster.committed() == {0: 2}


def test_what_was_committed_is_read_back_with_the_epoch_that_committed_it(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    assert reading.source.committed([0, 1]) == {}
    assert reading.source.commit_now({0: Commit(1, epoch=3, leader_epoch=0)}) == NotCommitted()
    assert reading.source.committed([0, 1]) == {0: Commit(1, epoch=3, leader_epoch=0)}
    reading.source.commit_now({0: Commit(2, epoch=4)})
    reading.source.commit_now({1: Commit(0, epoch=5)})
    assert reading.source.committed([0, 1]) == {0: Commit(2, epoch=4), 1: Commit(0, epoch=5)}


def test_the_next_member_reads_what_was_committed_while_it_is_assigned(cluster):
    cluster.append(0, b"a", b"b")
    reading = Reading(cluster)
    reading.until(lambda: len(reading.messages) == 2)
    reading.source.commit({0: Commit(2, epoch=7, leader_epoch=0)})
    reading.source.close()
    heir = Reading(cluster)
    assert heir.listener.committed == {0: Commit(2, epoch=7, leader_epoch=0)}


def test_a_position_that_others_committed_is_none_of_ours(cluster):
    reading = Reading(cluster)
    reading.until(lambda: len(reading.ends) == 2)
    reading.source.close()
    cluster.commit_as_others_do(0, 5)
    heir = Reading(cluster)
    assert heir.listener.committed == {}

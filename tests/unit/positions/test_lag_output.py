"""A group's lag as people and programs see it."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workers.ingestion.positions.lag import FormerTopic, GroupLag, PartitionLag
from workers.ingestion.positions.lag_output import lag_json, lag_table
from workers.kafka.members import GroupMember
from workers.kafka.topics import Topic

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
OWNER = GroupMember("rdkafka-4f1c9d7e-aa12ef", "rdkafka", "", "10.1.2.3")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def partition(number, **facts):
    known = {
        "position": 1_500,
        "first": 0,
        "end": 2_000,
        "rate": 250.0,
        "owner": OWNER,
        "delivery": "exactly-once",
        "skipped": 0,
        "dead_letters": 0,
        "epoch": 3,
        "moved_at": NOW - timedelta(seconds=4),
    }
    return PartitionLag(partition=number, **(known | facts))


def group_lag(*partitions, former=(), others=()):
    return GroupLag(
        group="rating",
        topic=Topic("ratings", "topic-id", "cluster-id", len(partitions)),
        taken_at=NOW,
        over_seconds=1.0,
        partitions=partitions,
        former_topics=former,
        other_groups=others,
    )


NOT_BEGUN = {"position": None, "rate": None, "owner": None, "delivery": None, "epoch": 0, "moved_at": None}
BEFORE = FormerTopic(
    topic_id="older-id",
    cluster_id="cluster-id",
    partitions=2,
    skipped=0,
    dead_letters=7,
    moved_at=NOW - timedelta(days=3),
)


def test_lag_and_state_follow_from_the_offsets():
    assert (partition(0).lag, partition(0).state) == (500, "begun")
    assert (partition(0, position=2_000).lag, partition(0, position=2_000).state) == (0, "begun")
    assert (partition(0, first=40, **NOT_BEGUN).lag, partition(0, **NOT_BEGUN).state) == (1_960, "not_begun")
    assert partition(0, first=1_600).state == "deleted_unread"
    assert (partition(0, position=2_001).lag, partition(0, position=2_001).state) == (0, "past_end")


def test_the_table_has_a_line_for_each_partition_and_their_sums():
    lines = lag_table(group_lag(partition(0), partition(1, end=1_501, rate=0.0)), output=io.StringIO()).splitlines()
    assert lines[0] == "Group rating, topic ratings, exactly-once"
    assert [line.split() for line in lines if line.strip()[:1].isdigit()] == [
        ["0", "1,500", "2,000", "500", "250", "rdkafka-aa12ef", "10.1.2.3", "4", "s"],
        ["1", "1,500", "1,501", "1", "0", "rdkafka-aa12ef", "10.1.2.3", "4", "s"],
    ]
    assert [line.split() for line in lines if "all" in line] == [["all", "501", "250"]]
    assert not {"dead letters", "skipped", "not begun"} & set("".join(lines))


def test_the_table_tells_what_is_out_of_the_ordinary():
    unusual = group_lag(
        partition(0, dead_letters=3, skipped=12, delivery="at-most-once"),
        partition(1, first=1_700),
        partition(2, **NOT_BEGUN),
        former=[BEFORE],
    )
    text = lag_table(unusual, output=io.StringIO())
    for said in ("dead letters", "skipped", "at-most-once", "deleted unread", "not begun", "nobody", "move_offsets"):
        assert said in text
    assert "2 partitions, 7 dead letters" in text
    assert "older-id" in text
    assert "last moved 3 d ago" in text


def test_one_partition_with_one_letter_is_told_in_the_singular():
    alone = replace(BEFORE, partitions=1, dead_letters=1)
    assert ": 1 partition, 1 dead letter, " in lag_table(group_lag(partition(0), former=[alone]), output=io.StringIO())


def test_a_group_that_has_read_nothing_is_told_from_one_that_has():
    text = lag_table(group_lag(partition(0, **NOT_BEGUN), others=["rating", "search"]), output=io.StringIO())
    assert "has not begun" in text
    assert "rating, search" in text


@pytest.mark.parametrize("width", [30, 50, 80, 120, 300])
def test_a_narrow_terminal_loses_columns_and_no_figures(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = lag_table(group_lag(partition(0, end=9_876_543_210), partition(1)), output=Terminal())
    assert "9,876,541,710" in text
    assert ("Left out" in text) == (width < 100)
    assert ("10.1.2.3" in text) == (width >= 80)


def test_the_json_is_one_line_with_stable_names():
    (line,) = lag_json(group_lag(partition(0, dead_letters=2), partition(1, **NOT_BEGUN), former=[BEFORE])).splitlines()
    found = json.loads(line)
    assert {key: found[key] for key in ("group", "topic", "topicId", "clusterId", "rateSeconds", "lag", "rate")} == {
        "group": "rating",
        "topic": "ratings",
        "topicId": "topic-id",
        "clusterId": "cluster-id",
        "rateSeconds": 1.0,
        "lag": 2_500,
        "rate": 250.0,
    }
    assert (found["skipped"], found["deadLetters"], found["takenAt"]) == (0, 2, "2026-01-31T12:00:00+00:00")
    assert found["partitions"][0] == {
        "partition": 0,
        "state": "begun",
        "position": 1_500,
        "first": 0,
        "end": 2_000,
        "lag": 500,
        "rate": 250.0,
        "owner": {"memberId": OWNER.member_id, "clientId": "rdkafka", "instanceId": "", "host": "10.1.2.3"},
        "delivery": "exactly-once",
        "skipped": 0,
        "deadLetters": 2,
        "epoch": 3,
        "movedAt": "2026-01-31T11:59:56+00:00",
    }
    assert [found["partitions"][1][key] for key in ("state", "position", "lag", "rate", "owner")] == [
        "not_begun",
        None,
        2_000,
        None,
        None,
    ]
    assert [former["topicId"] for former in found["formerTopics"]] == ["older-id"]

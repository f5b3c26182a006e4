"""The page for people who follow the aggregates: its code, run as it stands there."""

import re
from decimal import Decimal

import pytest

from movieapp.devstack.layout import PROJECT_ROOT
from ratings.events import RatingEvent
from ratings.services import rating_delete, ratings_write_now
from tests.published_aggregates import in_the_database

ON = {"RATINGS_PUBLISH_AGGREGATES": "true"}
PAGE = PROJECT_ROOT / "docs" / "howto" / "follow-aggregates.md"


@pytest.fixture
def follow():
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(code, PAGE.name, "exec"), names)
    return names["follow"]


def test_a_follower_that_joins_late_ends_with_the_database(
    follow, settings, manage, make_topic, kafka_bootstrap_servers
):
    settings.RATINGS_PUBLISH_AGGREGATES = True
    topic = make_topic(partitions=3, cleanup_policy="compact")
    for tenths in (15, 42, 100):
        ratings_write_now([RatingEvent("movie", str(number), "", "ann", tenths + number) for number in range(-5, 0)])
        assert manage("publish_aggregates", "--topic", topic, "--once", env=ON).returncode == 0
    rating_delete(record_type="movie", record_id="-1", provider_id="", user_id="ann")
    ratings_write_now([RatingEvent("the last", "1", "", "ann", 37)])
    assert manage("publish_aggregates", "--topic", topic, "--once", env=ON).returncode == 0
    expected = in_the_database()
    kept = {}
    for aggregate in follow(kafka_bootstrap_servers, topic):
        kept[aggregate["recordType"], aggregate["recordId"]] = (
            aggregate["count"],
            int(aggregate["sum"] * 10),
            aggregate["version"],
        )
        assert isinstance(aggregate["sum"], Decimal)
        if kept == expected:
            break
    assert kept["movie", "-1"] == (0, 0, 4)

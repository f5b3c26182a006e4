"""What a consumer says while it works, and how it knows that the group has caught up."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from tests.unit.consuming.scene import VirtualClock
from workers.ingestion.consuming.progress import CaughtUp, LoggedMeter, ProgressLog
from workers.ingestion.consuming.writing import Tally


class FakeSource:
    def __init__(self):
        self.ends = {0: 0}
        self.waiting_for = None

    def known_ends(self, partitions):
        return {partition: end for partition, end in self.ends.items() if partition in partitions}


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def consumer():
    return SimpleNamespace(tally=Tally(), waiting_for=None, settled={0: 0})


@pytest.fixture
def lines(source, clock, consumer):
    """Lets seconds pass, a tick each half second, and returns the lines that were said."""
    progress = ProgressLog(source, clock=clock)

    def pass_seconds(seconds, each_tick=lambda: None):
        with capture_logs() as said:
            for _ in range(int(seconds * 2)):
                clock.sleep(0.5)
                each_tick()
                progress.tick(consumer)
        return said

    return pass_seconds


def test_a_busy_consumer_says_every_five_seconds_how_fast_and_how_far_behind_it_is(lines, source, consumer):
    def work():
        consumer.tally.applied += 490
        consumer.tally.dead_lettered += 8
        consumer.tally.skipped += 2
        consumer.settled[0] += 500
        source.ends[0] = consumer.settled[0] + 7_000

    consumer.tally.last_batch, consumer.tally.write_seconds = 20_000, 0.1234
    said = lines(20, work)
    assert [line["event"] for line in said] == ["progress"] * 4
    assert [line["dead_lettered"] for line in said] == [80, 160, 240, 320]
    assert [line["skipped"] for line in said] == [20, 40, 60, 80]
    for line in said:
        assert line["events_per_second"] == 1_000
        assert line["lag"] == 7_000
        assert (line["partitions"], line["batch"], line["write_milliseconds"]) == (1, 20_000, 123)
        assert line["waiting_for"] is None


def test_an_idle_consumer_says_so_once_and_then_once_a_minute(lines):
    assert len(lines(10)) == 1
    assert len(lines(180)) == 3


def test_the_rate_after_a_silence_is_that_of_the_last_seconds(lines, consumer):
    lines(42)
    consumer.tally.applied += 10_000
    (line,) = lines(4)
    assert line["events_per_second"] == 2_000


def test_what_a_consumer_waits_for_is_said_when_it_changes(lines, consumer):
    lines(10)
    consumer.waiting_for = "the database is away"
    assert [line["waiting_for"] for line in lines(30)] == ["the database is away"]
    consumer.waiting_for = None
    assert [line["waiting_for"] for line in lines(5)] == [None]


def test_while_kafka_does_not_answer_that_is_said_and_no_lag(lines, source):
    source.ends = {0: 70}
    assert [(line["lag"], line["waiting_for"]) for line in lines(10)] == [(70, None)]
    source.waiting_for = "no broker answers"
    assert [(line["lag"], line["waiting_for"]) for line in lines(30)] == [(None, "no broker answers")]
    source.waiting_for = None
    assert [(line["lag"], line["waiting_for"]) for line in lines(30)] == [(70, None)]


def test_a_consumer_without_a_partition_says_so_and_knows_no_lag(lines, source, consumer):
    consumer.settled.clear()
    (line,) = lines(30)
    assert (line["lag"], line["partitions"]) == (None, 0)
    assert line["waiting_for"].startswith("no partition is assigned")
    source.waiting_for = "no broker answers"  # is the better reason
    assert [line["waiting_for"] for line in lines(30)] == ["no broker answers"]


def test_the_lag_is_told_once_all_ends_are_known(lines, source, consumer):
    consumer.settled |= {1: 5}
    source.ends = {0: 10}
    assert [line["lag"] for line in lines(10)] == [None]
    source.ends |= {1: 25}
    assert [line["lag"] for line in lines(10)] == [30]


def test_a_bar_makes_the_lines_quiet(source, clock, consumer):
    progress = ProgressLog(source, quiet=True, clock=clock)
    clock.sleep(10)
    with capture_logs() as said:
        progress.tick(consumer)
    assert said == []


class FakeMeter:
    def __init__(self):
        self.shown = []

    def update(self, *, count, share=None, title=None, lag=None):
        self.shown.append((count, share, lag))


def test_caught_up_is_when_every_partition_has_passed_the_end_that_it_had(clock):
    meter, positions = FakeMeter(), {}
    caught_up = CaughtUp(
        positions=lambda: None if positions is None else dict(positions),
        ends={0: 100, 1: 50, 2: 0},
        meter=meter,
        clock=clock,
    )

    def look():
        clock.sleep(1)
        return caught_up()

    assert not look()
    positions |= {0: 40}
    assert not look()
    assert meter.shown == []  # where the group began is known once it has begun them all
    positions |= {1: 10}
    assert not look()
    positions |= {0: 90}
    assert not look()
    positions |= {0: 500}
    assert not look()
    positions |= {1: 50}
    assert look()
    assert caught_up.reached
    assert meter.shown == [(0, 0.0, 100), (50, 0.5, 50), (60, 0.6, 40), (100, 1.0, 0)]


def test_a_database_that_does_not_answer_is_not_caught_up_with(clock):
    assert not CaughtUp(positions=lambda: None, ends={0: 1}, meter=FakeMeter(), clock=clock)()


def test_a_topic_without_messages_is_caught_up_with(clock):
    assert CaughtUp(positions=dict, ends={0: 0}, meter=FakeMeter(), clock=clock)()


def test_where_there_is_no_terminal_the_way_to_caught_up_is_told_in_the_log(clock):
    meter = LoggedMeter(clock=clock)
    with capture_logs() as said:
        for second in range(1, 12):
            clock.sleep(1)
            meter.update(count=second * 100, share=second / 20, lag=2_000 - second * 100)
    assert [line["event"] for line in said] == ["catching_up"] * 2
    assert [line["done"] for line in said] == [500, 1_000]
    assert [(line["percent"], line["lag"]) for line in said] == [(25.0, 1_500), (50.0, 1_000)]
    assert [(line["events_per_second"], line["seconds_left"]) for line in said] == [(100, 15), (100, 10)]

"""`purge_deleted`: old tombstones go, all else stays, and nothing that is gone can come back unless one asks for it."""

import signal
import threading
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from msgspec.structs import replace

from ratings import purging
from ratings.events import RatingEvent
from ratings.interning import Interner
from ratings.services import interning_share, rating_delete, rating_put, rating_writes, ratings_write, ratings_write_now
from tests.fixtures.topics import MakeTopic
from tests.rating_tables import assert_consistent, microseconds, own_connection, standing
from workers.ingestion.models import DeadLetter

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def write(events: list[RatingEvent], *, age: timedelta) -> None:
    moment = microseconds(timezone.now() - age)
    with own_connection() as own, own.cursor() as cursor:
        writes = rating_writes(cursor, Interner(), events, [moment] * len(events))
        with own.transaction():
            ratings_write(cursor, writes)


def event(tenths: int | None, record: str) -> RatingEvent:
    return RatingEvent("movie", record, "", "ann", tenths)


def records() -> set[str]:
    return {key[1] for key in standing("movie")}


@pytest.fixture(autouse=True)
def topic(settings: Any, make_topic: MakeTopic, kafka_bootstrap_servers: str) -> str:
    """The ratings' topic: it keeps its events for a day, less than the settings say."""
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": kafka_bootstrap_servers}
    settings.RATINGS_TOPIC = make_topic(partitions=1, retention_ms=86_400_000)
    name: str = settings.RATINGS_TOPIC
    return name


@pytest.fixture
def ratings() -> None:
    write([event(10, "old"), event(None, "old and gone"), event(None, "as old")], age=40 * DAY)
    write([event(None, "gone lately"), event(20, "new")], age=5 * DAY)


@pytest.mark.usefixtures("ratings")
def test_old_tombstones_go_and_all_else_stays(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("purge_deleted")
    assert records() == {"old", "gone lately", "new"}
    assert "Removed: 2 tombstones." in capsys.readouterr().out
    assert_consistent()
    call_command("purge_deleted")
    assert "Removed: 0 tombstones." in capsys.readouterr().out


@pytest.mark.usefixtures("ratings")
def test_any_age_above_the_retention(settings: Any) -> None:
    settings.RATINGS_TOPIC_RETENTION_MS = 86_400_000
    call_command("purge_deleted", older_than=2 * DAY)
    assert records() == {"old", "new"}


@pytest.mark.usefixtures("ratings")
def test_an_age_within_the_retention_is_refused_unless_one_insists(capsys: pytest.CaptureFixture[str]) -> None:
    before = records()
    with pytest.raises(CommandError, match=r"Kafka keeps events for 7 days \(.*--unsafe"):
        call_command("purge_deleted", older_than=6 * DAY)
    assert records() == before
    call_command("purge_deleted", older_than=timedelta(hours=1), unsafe=True)
    assert records() == {"old", "new"}


@pytest.mark.usefixtures("ratings")
def test_a_topic_that_keeps_everything_keeps_the_tombstones(settings: Any) -> None:
    settings.RATINGS_TOPIC_RETENTION_MS = -1
    for age in (None, 1000 * DAY):
        with pytest.raises(CommandError, match="--unsafe"):
            call_command("purge_deleted", older_than=age)
    call_command("purge_deleted", older_than=30 * DAY, unsafe=True)
    assert records() == {"old", "gone lately", "new"}


@pytest.mark.usefixtures("ratings")
def test_the_topic_itself_may_keep_events_for_longer_than_the_settings_say(settings: Any, make_topic: Any) -> None:
    settings.RATINGS_TOPIC = make_topic(partitions=1, retention_ms=int(timedelta(days=21) / timedelta(milliseconds=1)))
    with pytest.raises(CommandError, match=r"Kafka keeps events for 21 days \(retention\.ms of the topic t-"):
        call_command("purge_deleted", older_than=20 * DAY)
    before = records()
    call_command("purge_deleted")  # twice 21 days
    assert records() == before
    call_command("purge_deleted", older_than=22 * DAY)
    assert records() == {"old", "gone lately", "new"}


@pytest.mark.usefixtures("ratings")
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"retention_ms": -1}, "deletes no messages for their age)"),
        ({"retention_ms": -1, "retention_bytes": 10**9}, "retention.bytes says nothing of their age)"),
        ({"retention_ms": 60_000, "cleanup_policy": "compact"}, "deletes no messages for their age)"),
    ],
)
def test_a_topic_that_deletes_nothing_for_its_age_keeps_the_tombstones(
    settings: Any, make_topic: MakeTopic, config: dict[str, str | int], said: str
) -> None:
    settings.RATINGS_TOPIC = make_topic(partitions=1, **config)
    for age in (None, 1000 * DAY):
        with pytest.raises(CommandError, match="--unsafe") as refused:
            call_command("purge_deleted", older_than=age)
        assert said in str(refused.value)
    call_command("purge_deleted", older_than=30 * DAY, unsafe=True)
    assert records() == {"old", "gone lately", "new"}


@pytest.mark.usefixtures("ratings")
def test_without_an_answer_of_kafka_nothing_goes_but_by_order(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.ingestion.purging._TIMEOUT", 0.5)
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1"}
    before = records()
    with pytest.raises(CommandError, match=r"keeps events is not known\. No Kafka broker.*--unsafe with --older-than"):
        call_command("purge_deleted")
    assert records() == before
    call_command("purge_deleted", older_than=30 * DAY, unsafe=True)
    assert records() == {"old", "gone lately", "new"}


def test_a_topic_that_is_not_there_tells_nothing(settings: Any) -> None:
    settings.RATINGS_TOPIC = "there-is-none"
    with pytest.raises(CommandError, match="no topic 'there-is-none'"):
        call_command("purge_deleted")


def test_a_long_retention_sets_the_default(settings: Any) -> None:
    write([event(None, "1"), event(None, "2")], age=40 * DAY)
    settings.RATINGS_TOPIC_RETENTION_MS = int(timedelta(days=21) / timedelta(milliseconds=1))
    call_command("purge_deleted")
    assert records() == {"1", "2"}


@pytest.mark.usefixtures("ratings")
def test_what_a_dead_letter_may_still_need_stays(capsys: pytest.CaptureFixture[str]) -> None:
    write([event(None, "older than the letter")], age=60 * DAY)
    place = {"group": "g", "cluster_id": "c", "topic_id": "t", "topic": "ratings", "partition": 0}
    DeadLetter.objects.create(**place, offset=1, reason="for a test", timestamp=timezone.now() - 50 * DAY)
    call_command("purge_deleted")
    assert "a dead letter of that time could still be replayed" in capsys.readouterr().out
    assert records() == {"old", "old and gone", "as old", "gone lately", "new"}
    call_command("purge_deleted", older_than=30 * DAY, unsafe=True)
    assert records() == {"old", "gone lately", "new"}


def test_many_steps_while_others_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tombstones of ratings that are put again meanwhile stay out of it; nobody waits in a circle."""
    monkeypatch.setattr(purging, "_LOOKED_AT_ONCE", 7)
    events = [RatingEvent("movie", str(number % 20), "", f"u{number}", None) for number in range(200)]
    write(events, age=40 * DAY)
    errors: list[BaseException] = []
    stop = threading.Event()

    def put_again() -> None:
        random = Random(1)
        try:
            while not stop.is_set():
                ratings_write_now([replace(event, tenths=50) for event in random.sample(events[:100], 10)])
        except BaseException as error:  # handed to the test
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=put_again)
    thread.start()
    try:
        steps = list(purging.tombstones_purge(before=datetime.now(UTC) - 30 * DAY))
    finally:
        stop.set()
        thread.join(timeout=30)
    assert errors == []
    assert len(steps) > 15
    assert [step.share for step in steps] == sorted(step.share for step in steps)
    assert steps[-1].share == 1.0
    assert all(rating.tenths == 50 for rating in standing("movie").values())
    assert 100 <= steps[-1].removed <= 200
    assert_consistent()


def test_ctrl_c_ends_it_after_the_step_in_hand_and_it_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(purging, "_LOOKED_AT_ONCE", 7)
    write([event(None, str(number)) for number in range(30)], age=40 * DAY)
    steps: list[None] = []

    def interrupted_in_the_second_step(cursor: Any) -> None:
        interning_share(cursor)
        steps.append(None)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(purging, "interning_share", interrupted_in_the_second_step)
    with pytest.raises(SystemExit) as stopped:
        call_command("purge_deleted")
    assert stopped.value.code == 130
    assert len(records()) == 30 - 14
    said = capfd.readouterr()
    assert "Removed: 14 tombstones." in said.out
    assert "run it again for the rest" in said.err
    call_command("purge_deleted")
    assert records() == set()


def test_a_rating_that_is_put_again_after_the_look_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    write([event(None, "put again"), event(None, "gone")], age=40 * DAY)

    def share_too_late(cursor: Any) -> None:
        write([event(50, "put again")], age=timedelta())
        interning_share(cursor)

    monkeypatch.setattr(purging, "interning_share", share_too_late)
    call_command("purge_deleted")
    assert records() == {"put again"}
    assert_consistent()


def test_a_rating_can_be_put_again_after_the_purge() -> None:
    ann = {"record_type": "movie", "record_id": "1", "provider_id": "", "user_id": "ann"}
    rating_delete(**ann)
    call_command("purge_deleted", older_than=timedelta(0), unsafe=True)
    assert records() == set()
    rating_put(**ann, tenths=10)
    assert_consistent()


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(86_400_000, "1 day"), (129_661_000, "1 day 12 hours 1 minute 1 second"), (7_200_000, "2 hours")],
)
def test_a_retention_is_told_in_words(settings: Any, make_topic: MakeTopic, milliseconds: int, words: str) -> None:
    settings.RATINGS_TOPIC = make_topic(partitions=1, retention_ms=60_000)
    settings.RATINGS_TOPIC_RETENTION_MS = milliseconds
    with pytest.raises(CommandError) as refused:
        call_command("purge_deleted", older_than=timedelta(seconds=1))
    assert f"Kafka keeps events for {words} (RATINGS_TOPIC_RETENTION_MS)" in str(refused.value)


def test_wrong_ages_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for age in ("30", "x", "-1d", "99999999d"):
        with pytest.raises(CommandError):
            call_command("purge_deleted", f"--older-than={age}")

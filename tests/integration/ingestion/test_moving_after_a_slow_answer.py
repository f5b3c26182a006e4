"""A move that somebody agrees to late does what was shown, or nothing."""

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from tests.fixtures.topics import MakeTopic
from tests.rating_load import RatingLoad, epochs, positions
from tests.rating_tables import own_connection, wait_until_someone_waits_for
from workers.ingestion.models import ConsumerOffset
from workers.ingestion.positions.destination import Destination, Edge, Exactly
from workers.ingestion.positions.moving import move_offsets
from workers.ingestion.positions.planning import Move, MoveRequest, PlanChanged
from workers.kafka.topics import describe_topic

pytestmark = pytest.mark.django_db(transaction=True)

GROUP = "slow"


@pytest.fixture
def load(settings: Any, kafka_bootstrap_servers: str, make_topic: MakeTopic) -> RatingLoad:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": kafka_bootstrap_servers}
    load = RatingLoad(kafka_bootstrap_servers, make_topic(partitions=1), partitions=1)
    load.send(100)
    return load


def stand_at(load: RatingLoad, offset: int) -> None:
    """What a consumer does that reads on."""
    topic = describe_topic(load.topic, timeout=30)
    ours = {"group": GROUP, "cluster_id": topic.cluster_id, "topic_id": topic.topic_id, "partition": 0}
    placed = {"topic": load.topic, "next_offset": offset, "epoch": 1}
    ConsumerOffset.objects.update_or_create(**ours, defaults=placed)


def moved(load: RatingLoad, to: Destination, meanwhile: Callable[[], None]) -> list[Move] | None:
    """What a move does whose question is answered after something has happened."""

    def agree(_: object) -> bool:
        meanwhile()
        return True

    return move_offsets(MoveRequest(group=GROUP, topic=load.topic, destination=to), confirm=agree)


def test_latest_is_the_end_after_the_answer(load: RatingLoad) -> None:
    stand_at(load, 80)

    def read_on() -> None:
        load.send(60)
        stand_at(load, 150)

    done = moved(load, Edge.LATEST, read_on)
    assert done is not None
    assert [(move.now, move.then, move.read_again, move.skipped) for move in done] == [(150, 160, 0, 10)]
    assert positions(load.topic) == {0: 160}


def test_a_way_ahead_never_becomes_one_back(load: RatingLoad) -> None:
    stand_at(load, 10)
    with pytest.raises(PlanChanged) as changed:
        moved(load, Exactly({0: 50}), lambda: stand_at(load, 70))
    assert [(move.now, move.then) for move in changed.value.moves] == [(70, 50)]
    assert (positions(load.topic), epochs(load.topic)) == ({0: 70}, {0: 1})


def test_a_way_back_may_be_longer_by_what_was_read_meanwhile(load: RatingLoad) -> None:
    stand_at(load, 50)
    done = moved(load, Exactly({0: 20}), lambda: stand_at(load, 70))
    assert done is not None
    assert [move.read_again for move in done] == [50]
    assert positions(load.topic) == {0: 20}


def test_the_command_shows_what_it_would_do_now(load: RatingLoad, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at(load, 10)
    output = io.StringIO()

    def answer() -> str:
        stand_at(load, 70)
        return "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(CommandError, match="Nothing was moved: since the plan was shown") as refused:
        call_command("move_offsets", "--topic", load.topic, "--group", GROUP, "--to", "0:50", stdout=output)
    assert refused.value.returncode == 1
    plans = [line.split() for line in output.getvalue().splitlines()]
    shown, now = (
        plans.index(["0", at, "50", *rest, "0", "100"]) for at, rest in (("10", ["0", "40"]), ("70", ["20", "0"]))
    )
    assert shown < now
    assert positions(load.topic) == {0: 70}


@pytest.mark.parametrize(("to", "expected"), [(Edge.LATEST, 120), (Exactly({0: 100}), None)])
def test_a_group_that_reads_past_the_place_while_its_row_is_locked_is_not_moved_back(
    load: RatingLoad, to: Destination, expected: int | None
) -> None:
    stand_at(load, 80)
    results: list[object] = []

    def run() -> None:
        try:
            results.append(moved(load, to, lambda: None))
        except PlanChanged as changed:
            results.append(changed)
        finally:
            connections.close_all()

    mover = threading.Thread(target=run)
    with own_connection() as writer, own_connection() as watcher:
        with writer.transaction():
            writer.execute("UPDATE ingestion_consumeroffset SET next_offset = 120 WHERE topic = %s", [load.topic])
            mover.start()
            wait_until_someone_waits_for(watcher, writer.info.backend_pid)
        mover.join(timeout=60)
    assert positions(load.topic) == {0: 120}
    if expected is None:
        (changed,) = results
        assert isinstance(changed, PlanChanged)
        assert [(move.now, move.then) for move in changed.moves] == [(120, 100)]
        assert epochs(load.topic) == {0: 1}
    else:
        (done,) = results
        assert isinstance(done, list)
        assert [(move.now, move.then, move.read_again, move.skipped) for move in done] == [(120, 120, 0, 0)]

"""The mirror on the real table and a topic in memory: what is sent, noted, refused, sent again, and by whom."""

import base64
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections

from tests.dead_letters import T, event, kept_letter
from tests.rating_tables import own_connection
from tests.waiting import wait_until
from workers.ingestion.dead_letters import mirroring
from workers.ingestion.dead_letters.mirroring import DeadLetterMirror
from workers.ingestion.errors import StoreUnavailable
from workers.ingestion.models import DeadLetter
from workers.kafka.errors import BrokerUnavailable
from workers.kafka.verbatim import MemoryVerbatimProducer, VerbatimMessage

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = "mirror"


@dataclass
class Scene:
    producer: MemoryVerbatimProducer = field(default_factory=lambda: MemoryVerbatimProducer(largest=1_000))

    @property
    def mirror(self) -> DeadLetterMirror:
        return DeadLetterMirror(topic=TOPIC, producer=self.producer)

    def sent(self) -> list[bytes | None]:
        return [message.value for message in self.producer.topic]

    def run(self) -> int:
        sent = 0
        while some := self.mirror.send_some():
            sent += some
        return sent


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_letter_is_sent_as_it_came_with_the_error_headers_behind_its_own(scene: Scene) -> None:
    headers = [["trace", base64.b64encode(b"\x00").decode()], ["trace", None]]
    letter = kept_letter(b"\xff{", key=b"k", headers=headers, offset=41)
    assert scene.run() == 1
    (message,) = scene.producer.topic
    assert (message.key, message.value, message.timestamp) == (b"k", b"\xff{", T // 1000)
    assert message.headers[:2] == [("trace", b"\x00"), ("trace", None)]
    assert dict(message.headers)["__connect.errors.offset"] == b"41"
    letter.refresh_from_db()
    assert letter.mirrored_at is not None
    assert scene.run() == 0


def test_letters_go_oldest_first_and_nulls_stay_null(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.ingestion.dead_letters.selectors._CHUNK_LETTERS", 2)
    for value in (b"1", None, b"", b"4", b"5"):
        kept_letter(value)
    assert scene.run() == 5
    assert scene.sent() == [b"1", None, b"", b"4", b"5"]


def test_no_more_is_in_memory_than_some_bytes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.ingestion.dead_letters.selectors._CHUNK_BYTES", 1_000)
    for _ in range(5):
        kept_letter(b"x" * 400)
    assert [scene.mirror.send_some() for _ in range(4)] == [2, 2, 1, 0]


def test_a_refused_letter_keeps_the_reason_and_holds_up_no_other(scene: Scene) -> None:
    large = kept_letter(b"x" * 2_000)
    kept_letter(b"2")
    assert scene.run() == 2
    assert scene.sent() == [b"2"]
    large.refresh_from_db()
    assert large.mirrored_at is None
    assert "MSG_SIZE_TOO_LARGE" in large.mirror_refusal
    scene.producer.largest = 5_000
    assert scene.run() == 0
    scene.mirror.forget_refusals()
    assert scene.run() == 1
    large.refresh_from_db()
    assert (large.mirrored_at is not None, large.mirror_refusal) == (True, "")


def test_without_an_answer_nothing_is_noted_and_it_is_sent_again(scene: Scene) -> None:
    kept_letter(b"1")
    scene.producer.away = True
    with pytest.raises(BrokerUnavailable):
        scene.mirror.send_some()
    assert DeadLetter.objects.filter(mirrored_at=None).count() == 1
    scene.producer.away = False
    assert scene.run() == 1


def test_a_crash_between_the_answer_and_the_note_sends_twice_and_never_not_at_all(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_letter(b"1")

    class Crash(Exception):
        pass

    def crash(*_arguments: object) -> None:
        raise Crash

    monkeypatch.setattr(DeadLetterMirror, "_note", crash)
    with pytest.raises(Crash):
        scene.mirror.send_some()
    monkeypatch.undo()
    assert scene.run() == 1
    assert scene.sent() == [b"1", b"1"]


def test_one_at_a_time_sends(scene: Scene) -> None:
    kept_letter(b"1")
    with own_connection() as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s)", (0x6D6972726F72,))
        assert scene.mirror.send_some() == 0
    assert scene.run() == 1


def test_letters_from_the_mirror_topic_itself_do_not_go_round(scene: Scene) -> None:
    kept_letter(b"1", topic=TOPIC)
    kept_letter(b"2")
    assert scene.run() == 1
    assert scene.sent() == [b"2"]


def test_a_letter_is_not_locked_while_kafka_has_it_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = kept_letter(event(8))

    @dataclass
    class Watching(MemoryVerbatimProducer):
        def send_all(self, messages: object, *, timeout: float) -> list[str]:
            with own_connection() as other, other.transaction():
                other.execute("SELECT 1 FROM ingestion_deadletter WHERE id = %s FOR UPDATE NOWAIT", (letter.pk,))
            return [""]

    assert DeadLetterMirror(topic=TOPIC, producer=Watching()).send_some() == 1


def test_a_letter_that_was_replayed_meanwhile_is_no_trouble() -> None:
    letter = kept_letter(event(8))

    @dataclass
    class Slow(MemoryVerbatimProducer):
        def send_all(self, messages: list[VerbatimMessage], *, timeout: float) -> list[str]:  # type: ignore[override]
            with own_connection() as other:
                other.execute("DELETE FROM ingestion_deadletter WHERE id = %s", (letter.pk,))
            return ["" for _ in messages]

    assert DeadLetterMirror(topic=TOPIC, producer=Slow()).send_some() == 1


def test_a_sender_that_is_frozen_gives_its_turn_to_another_and_notes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "_IDLE_SECONDS", 1)
    kept_letter(b"1")
    other = Scene()

    @dataclass
    class Frozen(MemoryVerbatimProducer):
        def send_all(self, messages: list[VerbatimMessage], *, timeout: float) -> list[str]:  # type: ignore[override]
            with own_connection() as connection:
                free = "SELECT pg_try_advisory_lock(%s), pg_advisory_unlock(%s)"
                lock = mirroring._LOCK
                wait_until(lambda: (connection.execute(free, (lock, lock)).fetchone() or (False,))[0], timeout=20)
            return ["" for _ in messages]

    with pytest.raises(StoreUnavailable):
        DeadLetterMirror(topic=TOPIC, producer=Frozen()).send_some()
    connections.close_all()
    assert other.run() == 1
    assert other.sent() == [b"1"]


def test_beside_other_work_it_waits_for_kafka_to_come_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "_LOOK_EVERY", 0.02)
    refused = kept_letter(b"1", mirror_refusal="too large")
    scene.producer.away = True
    service = mirroring._Service(scene.mirror)
    service.start()
    try:
        wait_until(lambda: DeadLetter.objects.filter(pk=refused.pk, mirror_refusal="").exists())
        kept_letter(b"2")
        scene.producer.away = False
        wait_until(lambda: not DeadLetter.objects.filter(mirrored_at=None).exists())
    finally:
        service.stop()
    kept_letter(b"3")
    assert scene.sent() == [b"1", b"2"]


def test_what_comes_last_is_sent_before_it_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "_LOOK_EVERY", 600)
    service = mirroring._Service(scene.mirror)
    service.start()
    kept_letter(b"1")
    service.stop()
    assert scene.sent() == [b"1"]


def test_without_the_setting_nothing_runs(settings: Any) -> None:
    settings.RATINGS_DEAD_LETTER_TOPIC = ""
    with mirroring.dead_letters_mirrored():
        assert not [thread for thread in threading.enumerate() if thread.name == "dead-letter-mirror"]

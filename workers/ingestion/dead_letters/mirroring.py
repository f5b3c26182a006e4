"""Sends dead letters to the mirror topic, beside whatever else the process does; at least once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from workers.ingestion.dead_letters.connect_headers import error_headers
from workers.ingestion.dead_letters.payloads import header_values
from workers.ingestion.dead_letters.selectors import sized_ids
from workers.ingestion.dead_letters.troubles import bound_transaction
from workers.ingestion.errors import IngestionError
from workers.ingestion.models import DeadLetter
from workers.ingestion.postgres_errors import named_troubles
from workers.kafka.errors import KafkaError
from workers.kafka.topics import describe_topic
from workers.kafka.verbatim import KafkaVerbatimProducer, VerbatimMessage, VerbatimProducer

log = structlog.get_logger(__name__)

_LOCK = 0x6D6972726F72
_BROKER_TIMEOUT = 30.0
_ANSWER_SECONDS = 10.0
_IDLE_SECONDS = 20  # more than an answer may take
_LOOK_EVERY = 1.0
_LONGEST_PAUSE = 30.0
_LAST_WORDS = 5.0


@contextmanager
def dead_letters_mirrored() -> Iterator[None]:
    """Beside the block, dead letters of all groups go to RATINGS_DEAD_LETTER_TOPIC, where the settings name one.

    Several processes may do so; one at a time sends. The block is never held up; what it leaves behind is sent for up
    to 5 seconds after its end, and by the next one after that. Raises TopicNotFound, BrokerUnavailable or another
    KafkaError before the block begins when there is no such topic.
    """
    topic = settings.RATINGS_DEAD_LETTER_TOPIC
    if not topic:
        yield
        return
    describe_topic(topic, timeout=_BROKER_TIMEOUT)
    service = _Service(DeadLetterMirror(topic=topic, producer=KafkaVerbatimProducer(topic)))
    service.start()
    try:
        yield
    finally:
        service.stop()


class DeadLetterMirror:
    """Sends letters that were not sent yet, the oldest first, and notes which Kafka has.

    A letter that came from the mirror topic itself is never sent, as it would come again. One that Kafka refuses, as
    it is too large, keeps the refusal and holds up no other; `forget_refusals` has it tried again.
    """

    def __init__(self, *, topic: str, producer: VerbatimProducer) -> None:
        self._topic = topic
        self._producer = producer

    def send_some(self) -> int:
        """Sends the next few letters; how many were settled: 0 when none is left or another process sends.

        The lock on sending ends with the transaction, which the server ends when this process is frozen in it: what
        was sent and not noted by then is sent again. Letters are not locked while Kafka has them in hand. Raises
        KafkaError, StoreUnavailable or StoreNotReady; what is not noted then is sent again.
        """
        with named_troubles():
            if not self._waiting().exists():
                return 0
            with transaction.atomic():
                bound_transaction(idle_seconds=_IDLE_SECONDS)
                if not _is_only_sender():
                    return 0
                letters = list(DeadLetter.objects.filter(pk__in=sized_ids(self._waiting())).order_by("pk"))
                refusals = self._producer.send_all([_message(one) for one in letters], timeout=_ANSWER_SECONDS)
                self._note(letters, refusals)
        if letters:
            log.info("dead_letters_mirrored", topic=self._topic, letters=refusals.count(""))
        return len(letters)

    def forget_refusals(self) -> None:
        """Has refused letters tried again: the topic may take more now. Raises StoreUnavailable or StoreNotReady."""
        with named_troubles():
            DeadLetter.objects.filter(mirrored_at=None).exclude(mirror_refusal="").update(mirror_refusal="")

    def _waiting(self) -> QuerySet[DeadLetter]:
        return DeadLetter.objects.filter(mirrored_at=None, mirror_refusal="").exclude(topic=self._topic).order_by("pk")

    def _note(self, letters: Sequence[DeadLetter], refusals: Sequence[str]) -> None:
        # In their order, as whoever replays them locks them.
        _ = list(
            DeadLetter.objects.filter(pk__in=[one.pk for one in letters]).order_by("pk").select_for_update().only("pk")
        )
        sent = [letter.pk for letter, refusal in zip(letters, refusals, strict=True) if not refusal]
        DeadLetter.objects.filter(pk__in=sent).update(mirrored_at=Now())
        for letter, refusal in zip(letters, refusals, strict=True):
            if refusal:
                DeadLetter.objects.filter(pk=letter.pk).update(mirror_refusal=refusal)
                log.error("dead_letter_not_mirrored", letter=letter.pk, place=str(letter), reason=refusal)


class _Service:
    """A mirror in a thread of its own."""

    def __init__(self, mirror: DeadLetterMirror) -> None:
        self._mirror = mirror
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dead-letter-mirror", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once the thread has ended, or after some seconds: it holds nothing that must not be lost."""
        self._stopping.set()
        self._thread.join(timeout=_LAST_WORDS)

    def _run(self) -> None:
        try:
            self._keep_trying(self._mirror.forget_refusals)
            while not self._stopping.is_set():
                self._keep_trying(self._send_all)
                self._stopping.wait(_LOOK_EVERY)
            self._keep_trying(self._send_all)
        finally:
            connections.close_all()

    def _send_all(self) -> None:
        while self._mirror.send_some():
            pass

    def _keep_trying(self, work: Callable[[], Any]) -> None:
        """Until it succeeds; once only when the process stops."""
        pause = _LOOK_EVERY
        while True:
            try:
                work()
            except (KafkaError, IngestionError) as error:
                connections.close_all()
                log.warning("dead_letters_not_mirrored", reason=str(error), again_in_seconds=pause)
            else:
                return
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)


def _is_only_sender() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        (taken,) = cursor.fetchone() or (False,)
    return bool(taken)


def _message(letter: DeadLetter) -> VerbatimMessage:
    return VerbatimMessage(
        key=None if letter.key is None else bytes(letter.key),
        value=None if letter.value is None else bytes(letter.value),
        headers=[*header_values(letter.headers), *error_headers(letter)],
        timestamp=0 if letter.timestamp is None else max(0, int(letter.timestamp.timestamp() * 1000)),
    )

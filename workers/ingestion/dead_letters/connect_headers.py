"""Kafka Connect's error headers, so that tools made for its dead letter topics read ours.

The names are those of org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter; values are texts. Left out are
those without a sense here: `task.id`, `class.name` and `exception.stacktrace`.
"""

from ratings.errors import InvalidRating
from ratings.events import decode_event
from workers.ingestion.models import DeadLetter

_PREFIX = "__connect.errors."


def error_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Where the letter came from, at which stage it failed and why. The consumer group stands for the connector."""
    stage, exception = _failure(None if letter.value is None else bytes(letter.value))
    texts = {
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
        "connector.name": letter.group,
        "stage": stage,
        "exception.class.name": exception,
        "exception.message": f"{letter.field}: {letter.reason}" if letter.field else letter.reason,
    }
    return [(f"{_PREFIX}{name}", text.encode()) for name, text in texts.items()]


def _failure(value: bytes | None) -> tuple[str, str]:
    """Stage and exception by Connect's words: what is an event and yet no rating was refused by the database."""
    try:
        decode_event(value)
    except InvalidRating:
        return "VALUE_CONVERTER", f"{InvalidRating.__module__}.{InvalidRating.__qualname__}"
    return "TASK_PUT", "psycopg.DatabaseError"

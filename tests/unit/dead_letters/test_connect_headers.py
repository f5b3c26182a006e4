"""The headers of the mirror topic, as Kafka Connect's own dead letter topics have them."""

from tests.dead_letters import event
from workers.ingestion.dead_letters.connect_headers import error_headers
from workers.ingestion.models import DeadLetter


def letter(value: bytes | None, **fields: str) -> DeadLetter:
    return DeadLetter(topic="ratings", partition=3, offset=41, group="gruppe-ü", value=value, **fields)


def test_a_message_that_is_no_event_failed_in_the_value_converter() -> None:
    assert error_headers(letter(b"{", reason="the message is not JSON")) == [
        ("__connect.errors.topic", b"ratings"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"41"),
        ("__connect.errors.connector.name", "gruppe-ü".encode()),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.exception.class.name", b"ratings.errors.InvalidRating"),
        ("__connect.errors.exception.message", b"the message is not JSON"),
    ]


def test_the_field_is_part_of_the_message() -> None:
    headers = dict(error_headers(letter(None, field="ratingValue", reason="11 is too high")))
    assert headers["__connect.errors.exception.message"] == b"ratingValue: 11 is too high"


def test_an_event_that_the_database_refused_failed_in_the_sink() -> None:
    headers = dict(error_headers(letter(event(), reason="the database refuses it")))
    assert headers["__connect.errors.stage"] == b"TASK_PUT"
    assert headers["__connect.errors.exception.class.name"] == b"psycopg.DatabaseError"

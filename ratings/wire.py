"""Between gRPC's messages and ratings: every field is checked here, and named as the wire names it."""

from collections.abc import Sequence

from protos.movieapp.v1 import rating_pb2
from ratings.distribution import ValueCounts
from ratings.errors import InvalidRating
from ratings.events import RatingEvent, checked_id, tenths_of
from ratings.selectors import Aggregate, RecordKey
from ratings.streaming import BatchWritten
from ratings.watching import RecordState

NOT_RATED = "ratings not found for the record"
"""What a caller is told of a record that nobody has rated."""

MOST_RECORDS = 1_000
"""How many records one request may name."""

MOST_EVENTS = 1_000
"""How many events one message of a stream may have."""


def record_of(*, record_type: str, record_id: str) -> RecordKey:
    """The record that a request names. Raises InvalidRating."""
    return (checked_id(record_type, field="record_type"), checked_id(record_id, field="record_id"))


def records_of(records: Sequence[rating_pb2.Record], *, field: str) -> list[RecordKey]:
    """The records of a list, in its order and each once. Raises InvalidRating, as "records[3].id: …"."""
    if len(records) > MOST_RECORDS:
        raise InvalidRating(field, f"it has {len(records)} entries: at most {MOST_RECORDS}")
    found = {
        (
            checked_id(record.type, field=f"{field}[{place}].type"),
            checked_id(record.id, field=f"{field}[{place}].id"),
        ): None
        for place, record in enumerate(records)
    }
    return list(found)


def put_event(request: rating_pb2.PutRatingRequest) -> RatingEvent:
    """The rating that a put sets. Raises InvalidRating."""
    return RatingEvent(
        record_type=checked_id(request.record_type, field="record_type"),
        record_id=checked_id(request.record_id, field="record_id"),
        provider_id=checked_id(request.provider_id, field="provider_id", empty_allowed=True),
        user_id=checked_id(request.user_id, field="user_id"),
        tenths=_value(request),
    )


def delete_event(request: rating_pb2.DeleteRatingRequest) -> RatingEvent:
    """The rating that a delete removes. Raises InvalidRating."""
    return RatingEvent(
        record_type=checked_id(request.record_type, field="record_type"),
        record_id=checked_id(request.record_id, field="record_id"),
        provider_id=checked_id(request.provider_id, field="provider_id", empty_allowed=True),
        user_id=checked_id(request.user_id, field="user_id"),
        tenths=None,
    )


def stream_events(request: rating_pb2.PutRatingsRequest) -> Sequence[RatingEvent | InvalidRating]:
    """The events of one message of a stream; in place of one that is not valid what is wrong with it.

    Raises InvalidRating for a message that cannot be taken as a whole.
    """
    if not 1 <= len(request.events) <= MOST_EVENTS:
        raise InvalidRating("events", f"it has {len(request.events)} entries: one message has 1 to {MOST_EVENTS}")
    return [_stream_event(event) for event in request.events]


def batch_message(batch: BatchWritten) -> rating_pb2.PutRatingsResponse:
    """How far a stream is, and what of its last batch was rejected."""
    rejected = [rating_pb2.RejectedEvent(index=one.index, field=one.field, reason=one.reason) for one in batch.rejected]
    return rating_pb2.PutRatingsResponse(received=batch.received, rejected=rejected)


def watched_message(states: Sequence[RecordState]) -> rating_pb2.WatchAggregateResponse:
    """How it stands with some records."""
    return rating_pb2.WatchAggregateResponse(
        ratings=[record_rating_message(state.record, state.aggregate) for state in states]
    )


def aggregate_message(aggregate: Aggregate, counts: ValueCounts = ()) -> rating_pb2.AggregatedRating:
    """What all raters together say of a record, with its distribution where that was asked for."""
    return rating_pb2.AggregatedRating(
        average=aggregate.average,
        count=aggregate.count,
        version=aggregate.version,
        distribution=[rating_pb2.ValueCount(value=tenths / 10, count=count) for tenths, count in counts],
    )


def record_rating_message(record: RecordKey, aggregate: Aggregate | None) -> rating_pb2.RecordRating:
    """A record with its rating, or without one."""
    record_type, record_id = record
    return rating_pb2.RecordRating(
        record=rating_pb2.Record(type=record_type, id=record_id),
        rating=None if aggregate is None else aggregate_message(aggregate),
    )


def _value(request: rating_pb2.PutRatingRequest) -> int:
    if not request.HasField("value"):
        raise InvalidRating("value", "it is missing")
    return tenths_of(request.value, field="value")


def _stream_event(event: rating_pb2.RatingEvent) -> RatingEvent | InvalidRating:
    try:
        return RatingEvent(
            record_type=checked_id(event.record.type, field="record.type"),
            record_id=checked_id(event.record.id, field="record.id"),
            provider_id=checked_id(event.provider_id, field="provider_id", empty_allowed=True),
            user_id=checked_id(event.user_id, field="user_id"),
            tenths=_change(event),
        )
    except InvalidRating as error:
        return error.with_traceback(None)


def _change(event: rating_pb2.RatingEvent) -> int | None:
    match event.WhichOneof("change"):
        case "put":
            return tenths_of(event.put, field="put")
        case "delete":
            return None
    raise InvalidRating("change", "it is missing: give put or delete")

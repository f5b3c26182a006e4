"""Messages become events and aggregates become messages; a fault is named as the wire names its field."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from protos.movieapp.v1 import rating_pb2 as pb
from ratings.errors import InvalidRating
from ratings.selectors import Aggregate
from ratings.streaming import BatchWritten, Rejected
from ratings.watching import RecordState
from ratings.wire import (
    MOST_EVENTS,
    MOST_RECORDS,
    aggregate_message,
    batch_message,
    delete_event,
    put_event,
    record_rating_message,
    records_of,
    stream_events,
    watched_message,
)
from tests.examples import fixed
from tests.rating_events import events

VALID = {"user_id": "ann", "record_id": "7", "record_type": "movie", "provider_id": "imdb"}


@fixed(50)
@given(event=events)
def test_an_event_survives_the_wire(event):
    address = {
        "user_id": event.user_id,
        "record_id": event.record_id,
        "record_type": event.record_type,
        "provider_id": event.provider_id,
    }
    if event.tenths is None:
        request = pb.DeleteRatingRequest.FromString(pb.DeleteRatingRequest(**address).SerializeToString())
        assert delete_event(request) == event
    else:
        message = pb.PutRatingRequest(**address, value=event.tenths / 10)
        assert put_event(pb.PutRatingRequest.FromString(message.SerializeToString())) == event


@pytest.mark.parametrize("field", VALID)
def test_a_bad_id_is_named(field):
    bad = {**VALID, field: "x" * 129}
    for make, message in ((put_event, pb.PutRatingRequest), (delete_event, pb.DeleteRatingRequest)):
        with pytest.raises(InvalidRating) as caught:
            make(message(**bad))
        assert caught.value.field == field


def test_no_provider_is_one():
    assert put_event(pb.PutRatingRequest(**{**VALID, "provider_id": ""}, value=4.3)).provider_id == ""


def test_a_rating_of_nothing_is_not_one_of_zero():
    assert put_event(pb.PutRatingRequest(**VALID, value=0)).tenths == 0
    with pytest.raises(InvalidRating, match=r"^value: it is missing$"):
        put_event(pb.PutRatingRequest(**VALID))


def test_records_each_once_and_in_their_order():
    records = [pb.Record(type=kind, id="7") for kind in ("movie", "book", "movie")]
    assert records_of(records, field="records") == [("movie", "7"), ("book", "7")]
    assert records_of([], field="records") == []
    assert len(records_of([pb.Record(type="movie", id=str(n)) for n in range(MOST_RECORDS)], field="records")) == 1000


@pytest.mark.parametrize(
    ("records", "field"),
    [
        ([pb.Record(type="movie", id="7"), pb.Record(id="7")], "records[1].type"),
        ([pb.Record(type="movie", id="a\x00")], "records[0].id"),
        ([pb.Record(type="movie", id="7")] * (MOST_RECORDS + 1), "records"),
    ],
)
def test_a_bad_record_is_named_by_its_place(records, field):
    with pytest.raises(InvalidRating) as caught:
        records_of(records, field="records")
    assert caught.value.field == field


def test_an_aggregate_and_none():
    aggregate = Aggregate("movie", "7", 3, 100, 9, datetime(2026, 1, 1, tzinfo=UTC))
    message = aggregate_message(aggregate)
    assert (message.average, message.count, message.version) == (100 / 30, 3, 9)
    assert record_rating_message(("movie", "7"), aggregate).rating == message
    assert not record_rating_message(("movie", "7"), None).HasField("rating")


def stream_event(event):
    """The event as one of a stream's."""
    message = pb.RatingEvent(
        record=pb.Record(type=event.record_type, id=event.record_id),
        user_id=event.user_id,
        provider_id=event.provider_id,
    )
    if event.tenths is None:
        message.delete.SetInParent()
    else:
        message.put = event.tenths / 10
    return message


@fixed(50)
@given(event=events)
def test_a_streams_event_survives_the_wire(event):
    message = pb.PutRatingsRequest(events=[stream_event(event)] * 2)
    assert stream_events(pb.PutRatingsRequest.FromString(message.SerializeToString())) == [event, event]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.RatingEvent(), "record.type"),
        (pb.RatingEvent(record=pb.Record(type="movie")), "record.id"),
        (pb.RatingEvent(record=pb.Record(type="movie", id="7")), "user_id"),
        (pb.RatingEvent(record=pb.Record(type="movie", id="7"), user_id="a", provider_id="\0"), "provider_id"),
        (pb.RatingEvent(record=pb.Record(type="movie", id="7"), user_id="a"), "change"),
        (pb.RatingEvent(record=pb.Record(type="movie", id="7"), user_id="a", put=10.5), "put"),
    ],
)
def test_a_streams_event_that_is_not_valid_stands_in_its_place(message, field):
    good = pb.RatingEvent(record=pb.Record(type="movie", id="7"), user_id="a", put=10)
    first, fault, last = stream_events(pb.PutRatingsRequest(events=[good, message, good]))
    assert first == last
    assert isinstance(fault, InvalidRating)
    assert fault.field == field


@pytest.mark.parametrize("count", [0, MOST_EVENTS + 1])
def test_a_streams_message_with_none_or_too_many(count):
    with pytest.raises(InvalidRating, match=f"events: it has {count} entries: one message has 1 to 1000"):
        stream_events(pb.PutRatingsRequest(events=[pb.RatingEvent()] * count))


def test_a_streams_answers():
    batch = batch_message(BatchWritten(received=9, rejected=[Rejected(7, "put", "it is not")]))
    assert batch == pb.PutRatingsResponse(
        received=9, rejected=[pb.RejectedEvent(index=7, field="put", reason="it is not")]
    )
    aggregate = Aggregate("movie", "7", 3, 100, 9, datetime(2026, 1, 1, tzinfo=UTC))
    watched = watched_message([RecordState(("movie", "7"), aggregate), RecordState(("movie", "8"), None)])
    assert [one.record.id for one in watched.ratings] == ["7", "8"]
    assert [one.HasField("rating") for one in watched.ratings] == [True, False]

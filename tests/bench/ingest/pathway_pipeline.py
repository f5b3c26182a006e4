"""The same job in Pathway: a topic of rating events into a table. Runs in Pathway's own environment, until SIGTERM.

Arguments: a JSON object of `servers`, `group`, `topic`, `postgres` and `setting`. The table `rated` has the four ids of
a rating as its primary key, and its value. Both settings read only puts: a delete would be a row without a value.

* `default`: every event is an upsert, in minibatches of Pathway's own (1.5 s). Of several events of one rating in one
  minibatch, whichever is written last stands. No state is kept.
* `correct`: the last value of each rating by offset, which within a partition is also the order of time. Offset and
  value go through one whole number, whose maximum by rating is kept: the cheapest way to it that we know.

Neither keeps aggregates, dead letters or deletes, nor its position: it begins anew with each start.
"""

import json
import sys

import pathway as pw

_VALUES = 128  # above the highest rating in tenths


class Event(pw.Schema):
    """What is read of a rating event."""

    recordType: str  # noqa: N815
    recordId: str  # noqa: N815
    providerId: str  # noqa: N815
    userId: str  # noqa: N815
    ratingValue: float  # noqa: N815


def main() -> None:
    """Builds the setting that was asked for and runs it."""
    asked = json.loads(sys.argv[1])
    events = pw.io.kafka.read(
        {"bootstrap.servers": asked["servers"], "group.id": asked["group"], "auto.offset.reset": "earliest"},
        topic=asked["topic"],
        schema=Event,
        format="json",
        with_metadata=asked["setting"] == "correct",
    )
    rated = _last_by_offset(events) if asked["setting"] == "correct" else _as_read(events)
    pw.io.postgres.write(
        rated,
        asked["postgres"],
        "rated",
        output_table_type="snapshot",
        primary_key=[rated.record_type, rated.record_id, rated.provider_id, rated.user_id],
    )
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


def _as_read(events: pw.Table) -> pw.Table:
    return events.select(
        record_type=pw.this.recordType,
        record_id=pw.this.recordId,
        provider_id=pw.this.providerId,
        user_id=pw.this.userId,
        value=pw.this.ratingValue,
    )


def _last_by_offset(events: pw.Table) -> pw.Table:
    tenths = pw.cast(int, pw.this.ratingValue * 10 + 0.5)
    placed = events.select(
        record_type=pw.this.recordType,
        record_id=pw.this.recordId,
        provider_id=pw.this.providerId,
        user_id=pw.this.userId,
        placed=pw.unwrap(pw.this._metadata["offset"].as_int()) * _VALUES + tenths,
    )
    ids = (pw.this.record_type, pw.this.record_id, pw.this.provider_id, pw.this.user_id)
    last = placed.groupby(*ids).reduce(*ids, placed=pw.reducers.max(pw.this.placed))
    return last.select(*ids, value=pw.cast(float, pw.this.placed % _VALUES) / 10)


main()

"""The words in which `manage.py ingest_file` says what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from workers.ingestion.sending.arrival import Arrival
from workers.ingestion.sending.publishing import InvalidEvent, Publisher
from workers.ingestion.sending.request import IngestRequest

_REPLAY = "Sending events again is harmless: a rating is one per record, provider and user."


@dataclass(frozen=True, slots=True)
class Ending:
    """How the sending of a request ended: `failure` is None where every file was read to its end."""

    request: IngestRequest
    publisher: Publisher
    failure: Exception | None
    seconds: float


def summary_lines(ending: Ending) -> Iterator[str]:
    """Counts first, then the rejections, what went wrong and how to go on."""
    request, tally = ending.request, ending.publisher.tally
    rate = tally.read / max(ending.seconds, 0.001)
    yield _counted("read", tally.read) + f"  in {ending.seconds:.1f} s, {rate:,.0f} events/s"
    yield from _valid_lines(request, ending.publisher) if request.dry_run else _sent_lines(ending.publisher)
    yield _counted("rejected", tally.rejected)
    yield from (f"    {text}" for text in tally.shown)
    if tally.rejected > len(tally.shown):
        yield f"    … and {tally.rejected - len(tally.shown):,} more"
    if not tally.read and ending.failure is None:
        yield "There is no event in it." if len(request.paths) == 1 else "There is no event in them."
    yield from _failure_lines(ending)


def arrival_lines(arrival: Arrival, *, group: str) -> Iterator[str]:
    """What a consumer group made of the messages."""
    yield _counted("applied", arrival.applied)
    yield _counted("dead-lettered", arrival.dead_lettered)
    if arrival.outstanding:
        yield _counted("outstanding", arrival.outstanding)
        yield (
            f"Group {group} has not come to the end in the time it had. All events are in Kafka: "
            f"manage.py consume_ratings --group {group} brings them into the database."
        )
    elif arrival.dead_lettered:
        yield "The dead letters and their reasons are on the admin's page for them."
    else:
        yield "All of it is in the database."


def _counted(word: str, count: int) -> str:
    return f"{word:<14}{count:>12,}"


def _valid_lines(request: IngestRequest, publisher: Publisher) -> Iterator[str]:
    yield _counted("valid", publisher.tally.read - publisher.tally.rejected)
    yield f"{'sent':<14}{'none':>12}  (this was a dry run for topic {request.topic})"


def _sent_lines(publisher: Publisher) -> Iterator[str]:
    deliveries = publisher.deliveries
    yield _counted("acknowledged", deliveries.acknowledged)
    if deliveries.failed:
        yield _counted("unacknowledged", deliveries.failed)
    for reason, count in deliveries.refused.items():
        yield f"    {count:,} refused by Kafka: {reason}"
    if deliveries.unknown:
        yield f"    {deliveries.unknown:,} without an answer: they may have arrived or not"


def _failure_lines(ending: Ending) -> Iterator[str]:
    if ending.failure is None:
        return
    request, publisher = ending.request, ending.publisher
    yield f"Stopped early: {ending.failure}"
    place = publisher.resume_place()
    where = request.paths[place.file]
    yield f"All before position {place.position:,} of {where} is {'valid' if request.dry_run else 'in Kafka'}."
    hint = " once the event is mended (or with --on-error skip)" if isinstance(ending.failure, InvalidEvent) else ""
    yield f"To go on from there{hint}: {request.resume_command(place)}"
    if not request.dry_run:
        yield _REPLAY

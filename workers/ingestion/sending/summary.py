"""The words in which `manage.py ingest_file` says what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from movieapp.inputs.errors import InputError
from workers.ingestion.sending.arrival import Arrival
from workers.ingestion.sending.command_line import manage_command
from workers.ingestion.sending.publishing import InvalidEvent, Place, Publisher
from workers.ingestion.sending.request import IngestRequest

_REPLAY = (
    "Sending an event again sets the same rating again; only a change that others made to that rating in between "
    "is overwritten."
)


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
            f"{manage_command(['consume_ratings', '--group', group])} brings them into the database."
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
    request, publisher, place = ending.request, ending.publisher, ending.publisher.resume_place()
    yield f"Stopped early: {ending.failure}"
    unreadable = isinstance(ending.failure, InputError)
    if unreadable:
        yield _unreadable_words(request, publisher.tally.next_place)
    deliveries = publisher.deliveries
    untouched = place == Place(0, request.start_at) and not deliveries.acknowledged + deliveries.failed
    yield "Nothing was sent." if untouched else _settled_words(request, place)
    if untouched and unreadable:
        return  # the way on is the same command again, once the file is another one
    yield f"To go on{_condition(ending.failure)}: {request.resume_command(place)}"
    if not request.dry_run:
        yield _REPLAY


def _unreadable_words(request: IngestRequest, place: Place) -> str:
    path = request.paths[place.file]
    if place.position == (1 if place.file else request.start_at):
        return f"No event of {path} could be read."
    return f"{path} cannot be read after position {place.position - 1:,}."


def _settled_words(request: IngestRequest, place: Place) -> str:
    path, state = request.paths[place.file], "valid" if request.dry_run else "in Kafka"
    if place.position > 1:
        return f"All before position {place.position:,} of {path} is {state}."
    if place.file:
        return f"All before {path} is {state}."
    return f"The first events of {path} are not all known to be {state}."


def _condition(failure: Exception) -> str:
    match failure:
        case InvalidEvent():
            return " once the event is mended (or with --on-error skip)"
        case InputError():
            return " once the file can be read"
        case _:
            return " from there"

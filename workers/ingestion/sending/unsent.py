"""Counts the events of files that could not be sent at all, so that a failure can say how many they are."""

import time
from collections.abc import Callable

from movieapp.inputs.errors import InputError
from movieapp.inputs.source import STANDARD_INPUT
from workers.ingestion.sending.files.events import Rejection
from workers.ingestion.sending.files.reading import event_file
from workers.ingestion.sending.request import IngestRequest


class _TimeIsOver(Exception):
    """The count takes longer than the caller can wait."""


def unsent_in_words(request: IngestRequest, *, seconds: float, check: Callable[[], None]) -> str:
    """How many valid events of the request's files were not sent, counted for at most `seconds`.

    Standard input is not touched. `check` is called while reading; what it raises ends the count.
    """
    if STANDARD_INPUT in request.paths:
        return "Nothing was sent; standard input was not read."
    deadline = time.monotonic() + seconds

    def watch() -> None:
        check()
        if time.monotonic() > deadline:
            raise _TimeIsOver

    valid = invalid = 0
    try:
        for number, path in enumerate(request.paths):
            start_at = request.start_at if number == 0 else 1
            with event_file(
                path, file_format=request.file_format, defaults=request.defaults, start_at=start_at, on_wait=watch
            ) as file:
                for _, event in file.events:
                    if isinstance(event, Rejection):
                        invalid += 1
                    else:
                        valid += 1
    except _TimeIsOver:
        return f"Not sent: all events. There was time to count {valid:,} valid ones; there are more to read."
    except InputError as broken:
        return f"Not sent: {valid:,} valid events and what follows where a file cannot be read ({broken})."
    if invalid:
        return (
            f"Not sent: {valid:,} valid events. {invalid:,} more are not valid: --dry-run --on-error skip names them."
        )
    return f"Not sent: {valid:,} events, which is all of them."

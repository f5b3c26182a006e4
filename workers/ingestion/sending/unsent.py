"""Counts the events of files that could not be sent at all, so that a failure can say how many they are."""

import time
from collections.abc import Callable

from movieapp.inputs.errors import InputError
from movieapp.inputs.source import STANDARD_INPUT
from workers.ingestion.sending.files.reading import event_file
from workers.ingestion.sending.request import IngestRequest


class _TimeIsOver(Exception):
    """The count takes longer than the caller can wait."""


def unsent_in_words(request: IngestRequest, *, seconds: float, check: Callable[[], None]) -> str:
    """How many events of the request's files were not sent, counted for at most `seconds`.

    Standard input is not touched. `check` is called while reading; what it raises ends the count.
    """
    if STANDARD_INPUT in request.paths:
        return "Nothing was sent; standard input was not read."
    deadline = time.monotonic() + seconds

    def watch() -> None:
        check()
        if time.monotonic() > deadline:
            raise _TimeIsOver

    count = 0
    try:
        for path in request.paths:
            start_at = request.start_at if path == request.paths[0] else 1
            with event_file(
                path, file_format=request.file_format, defaults=request.defaults, start_at=start_at, on_wait=watch
            ) as file:
                for _ in file.events:
                    count += 1
    except _TimeIsOver:
        return f"Not sent: all events, which are more than {count:,}."
    except InputError as broken:
        return f"Not sent: {count:,} events and what follows where a file cannot be read ({broken})."
    return f"Not sent: {count:,} events, which is all of them."

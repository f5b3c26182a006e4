"""JSON events as the elements of arrays, or as objects one after the other."""

import io

from movieapp.inputs.json_elements import json_elements
from ratings.errors import InvalidRating
from workers.ingestion.sending.files.events import LONGEST, TOO_LONG, Defaults, FileEvents, Rejection
from workers.ingestion.sending.files.json_events import event_decoder


def json_events(stream: io.BufferedIOBase, name: str, *, defaults: Defaults, start_at: int) -> FileEvents:
    """The events from element `start_at` on, counted from 1 through the whole file.

    Raises StructureBroken where the next element cannot be found, and what the stream raises.
    """
    decode = event_decoder(defaults)
    for number, (line, element) in enumerate(json_elements(stream, name, longest=LONGEST), start=1):
        if number < start_at:
            continue
        if element is None:
            yield number, Rejection(line, TOO_LONG)
            continue
        try:
            event = decode(element)
        except InvalidRating as invalid:
            yield number, Rejection(line, str(invalid))
        else:
            yield number, event

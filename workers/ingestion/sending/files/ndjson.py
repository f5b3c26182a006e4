"""One JSON event a line."""

import io

from movieapp.inputs.lines import numbered_lines
from ratings.errors import InvalidRating
from workers.ingestion.sending.files.events import LONGEST, TOO_LONG, Defaults, FileEvents, Rejection
from workers.ingestion.sending.files.json_events import event_decoder


def ndjson_events(stream: io.BufferedIOBase, *, defaults: Defaults, start_at: int) -> FileEvents:
    """The events from line `start_at` on. Blank lines are none. Raises what the stream raises."""
    decode = event_decoder(defaults)
    for number, line in numbered_lines(stream, longest=LONGEST):
        if number < start_at:
            continue
        if line is None:
            yield number, Rejection(number, TOO_LONG)
        elif line and not line.isspace():
            try:
                event = decode(line)
            except InvalidRating as invalid:
                yield number, Rejection(number, str(invalid))
            else:
                yield number, event

"""One JSON event a line."""

import io

from ratings.errors import InvalidRating
from workers.ingestion.files.events import Defaults, FileEvents, Rejection
from workers.ingestion.files.json_events import event_decoder
from workers.ingestion.files.lines import MAX_LINE, numbered_lines

TOO_LONG = f"it is longer than {MAX_LINE} bytes"


def ndjson_events(stream: io.BufferedIOBase, *, defaults: Defaults, start_at: int) -> FileEvents:
    """The events from line `start_at` on. Blank lines are none. Raises what the stream raises."""
    decode = event_decoder(defaults)
    for number, line in numbered_lines(stream):
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

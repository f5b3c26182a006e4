"""Makes a source of bytes, as if a file had been opened."""

import io

from metadata.sources.opening import Source


def buffered(content):
    return io.BufferedReader(io.BytesIO(content))


def source_of(content, name="movies"):
    raw = io.BytesIO(content)
    return Source(name=name, content=io.BufferedReader(raw), size=len(content), on_disk=raw)

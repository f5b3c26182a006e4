"""Reads a file's content as the command would, for the tests of the readers."""

from dataclasses import dataclass
from pathlib import Path

from ratings.events import RatingEvent
from workers.ingestion.sending.files.detection import Format
from workers.ingestion.sending.files.events import Defaults, Rejection
from workers.ingestion.sending.files.reading import event_file
from workers.ingestion.sending.files.scale import scale_from_text


@dataclass(frozen=True)
class Read:
    """What came out: the events, their positions, the rejections by position, and the format that was found."""

    events: list[RatingEvent]
    positions: list[int]
    rejections: dict[int, Rejection]
    format: Format

    @property
    def reasons(self) -> dict[int, str]:
        return {position: rejection.reason for position, rejection in self.rejections.items()}


def read(
    folder: Path,
    content: bytes,
    *,
    name: str = "ratings",
    file_format: Format = Format.AUTO,
    provider: str = "",
    scale: str = "",
    start_at: int = 1,
) -> Read:
    path = folder / name
    path.write_bytes(content)
    defaults = Defaults(provider=provider, scale=scale_from_text(scale) if scale else None)
    with event_file(str(path), file_format=file_format, defaults=defaults, start_at=start_at) as file:
        found = list(file.events)
    valid = [(position, event) for position, event in found if isinstance(event, RatingEvent)]
    return Read(
        events=[event for _, event in valid],
        positions=[position for position, _ in valid],
        rejections={position: event for position, event in found if isinstance(event, Rejection)},
        format=file.format,
    )


def put(record: str, user: str, tenths: int, provider: str = "") -> RatingEvent:
    return RatingEvent("movie", record, provider, user, tenths)

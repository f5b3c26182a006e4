"""What can be wrong with a file as a whole; a single event that is not acceptable is a Rejection instead."""

from workers.ingestion.errors import IngestionError


class FileError(IngestionError):
    """A file cannot be read, or not any further; the message names the file, the place and how to mend it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class FileNotReadable(FileError):
    """The file is missing, is a folder, may not be read, or the disk fails."""


class CompressionDamaged(FileError):
    """The compressed data is cut off or corrupt, or compressed in a way that we do not read."""


class FormatUnknown(FileError):
    """Neither the name nor the first bytes tell the format, or they contradict the one that was asked for."""


class StructureBroken(FileError):
    """The text is cut off or malformed so that the next event cannot be found."""

"""What can be wrong with an input as a whole; what is wrong with one line or element of it is its reader's matter."""


class InputError(Exception):
    """An input cannot be read, or not any further; the message names it, the place and how to mend it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class FileNotReadable(InputError):
    """The file is missing, is a folder, may not be read, or the disk fails."""


class CompressionDamaged(InputError):
    """The compressed data is cut off or corrupt, or compressed in a way that we do not read."""


class FormatUnknown(InputError):
    """Neither the name nor the first bytes tell the format, or they contradict the one that was asked for."""


class StructureBroken(InputError):
    """The text is cut off or malformed so that the next element cannot be found."""

"""Options of commands that run in several processes, as argparse types."""

import os
from argparse import ArgumentTypeError

from workers.kafka.arguments import whole_number

_MOST = 64


def process_count(text: str) -> int:
    """An argparse type: a whole number from 1 to 64, or 'auto', one for each core."""
    if text == "auto":
        return min(_cores(), _MOST)
    value = whole_number(text)
    if value > _MOST:
        raise ArgumentTypeError(f"{value} is more than {_MOST} processes")
    return value


def _cores() -> int:
    """The cores that this process may use, where the system tells them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

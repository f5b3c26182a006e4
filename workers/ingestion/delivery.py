"""The three promises about how often an event is applied. Standard library only: models and memory know it alike."""

from enum import StrEnum


class Delivery(StrEnum):
    """What a group is promised about each event on its way into Postgres."""

    EXACTLY_ONCE = "exactly-once"
    AT_LEAST_ONCE = "at-least-once"
    AT_MOST_ONCE = "at-most-once"

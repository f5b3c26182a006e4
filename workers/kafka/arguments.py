"""Types of command-line options that several commands share: each accepts a value or says what it wants."""

import re
from argparse import ArgumentTypeError


def seconds(text: str) -> float:
    """A time-out: more than 0 and at most a day, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and up to 86400")
    return value


def whole_number(text: str) -> int:
    """1 or more."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < value < 2**63:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return value


def topic_name(text: str) -> str:
    """A name that Kafka takes for a topic."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) or text in {".", ".."}:
        raise ArgumentTypeError(f"{text!r} is not a topic name: letters, digits, '.', '_' and '-', 1 to 249 of them")
    return text


def group_name(text: str) -> str:
    """A consumer group's name: 1 to 255 characters that can be printed."""
    if not 1 <= len(text) <= 255 or not text.isprintable():
        raise ArgumentTypeError(f"{text[:40]!r} is not a group name: 1 to 255 printable characters")
    return text


def instance_name(text: str) -> str:
    """A static member's name, as Kafka takes it for group.instance.id."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) or text in {".", ".."}:
        raise ArgumentTypeError(f"{text!r} is not a member's name: letters, digits, '.', '_' and '-', 1 to 249 of them")
    return text

"""The question that a command asks a person before it does what cannot be taken back."""

import sys

from django.core.management.base import CommandError, OutputWrapper


def is_confirmed(output: OutputWrapper, question: str) -> bool:
    """Whether the answer on standard input is y or yes; its end is a no."""
    output.write(f"{question} [y/N] ", ending="")
    output.flush()
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        output.write("")
        return False


def is_confirmed_on_terminal(output: OutputWrapper, question: str, *, undone: str) -> bool:
    """As `is_confirmed`. Raises CommandError, with `undone` ("Nothing was moved"), where there is no terminal."""
    if not sys.stdin.isatty():
        raise CommandError(f"{question} {undone}: there is no terminal to ask on. Give --yes to go on without asking.")
    return is_confirmed(output, question)

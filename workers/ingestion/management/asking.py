"""The question that a command asks a person before it does what cannot be taken back."""

import sys

from django.core.management.base import CommandError, OutputWrapper


def is_confirmed_on_terminal(output: OutputWrapper, question: str, *, undone: str) -> bool:
    """Whether the answer is y or yes; the end of the input is a no.

    Raises CommandError, with `undone` ("Nothing was moved"), where there is no terminal, and for Ctrl-C with exit code
    130.
    """
    if not sys.stdin.isatty():
        raise CommandError(f"{question} {undone}: there is no terminal to ask on. Give --yes to go on without asking.")
    output.write(f"{question} [y/N] ", ending="")
    output.flush()
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        output.write("")
        return False
    except KeyboardInterrupt:
        output.write("")
        raise CommandError(f"{undone}: stopped by Ctrl-C.", returncode=130) from None

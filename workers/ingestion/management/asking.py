"""The question that a command asks a person before it does what cannot be taken back."""

from django.core.management.base import OutputWrapper


def is_confirmed(output: OutputWrapper, question: str) -> bool:
    """Whether the answer on standard input is y or yes; its end is a no."""
    output.write(f"{question} [y/N] ", ending="")
    output.flush()
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        output.write("")
        return False

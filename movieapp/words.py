"""Counts as people read them."""


def counted(count: int, noun: str) -> str:
    """`1 record`, `2,000 records`: of a noun whose plural is made with an s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

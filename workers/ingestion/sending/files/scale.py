"""Another provider's scale of values mapped onto ours, exactly."""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ratings.errors import InvalidRating
from ratings.events import MAX_TENTHS, tenths_of

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_MAX_NUMBER_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `lowest` to `highest`, both included, stand for 0 to 10; a middle rounds half up to one decimal."""

    lowest: Decimal
    highest: Decimal

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise ValueError("the lowest value of a scale must be below the highest")

    def tenths(self, value: Decimal) -> int:
        """The rating in tenths, 0 to 100. Raises InvalidRating for a value outside the scale."""
        if not self.lowest <= value <= self.highest:
            raise InvalidRating("ratingValue", f"{value} is outside the scale {self}")
        lowest = Fraction(self.lowest)
        share = (Fraction(value) - lowest) / (Fraction(self.highest) - lowest)
        return math.floor(share * MAX_TENTHS + Fraction(1, 2))

    def __str__(self) -> str:
        return f"{self.lowest}:{self.highest}"


def scale_from_text(text: str) -> Scale:
    """The scale that "MIN:MAX" means, such as 1:5 or 0.5:5. Raises ValueError with what is wrong."""
    lowest, colon, highest = text.partition(":")
    if not colon:
        raise ValueError(f"{text!r} is not of the form MIN:MAX, such as 1:5")
    return Scale(decimal_of(lowest), decimal_of(highest))


def decimal_of(text: str) -> Decimal:
    """The number that `text` writes in plain or scientific notation. Raises ValueError for anything else."""
    text = text.strip()
    if len(text) > _MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:_MAX_NUMBER_LENGTH]!r} is not a number")
    return Decimal(text)


def tenths_of_text(text: str, scale: Scale | None, *, field: str = "ratingValue") -> int:
    """The rating that a table's cell writes, in tenths. Raises InvalidRating."""
    if not text.strip():
        raise InvalidRating(field, "it is missing")
    try:
        value = decimal_of(text)
    except ValueError as error:
        raise InvalidRating(field, str(error)) from None
    return tenths_of(float(value), field=field) if scale is None else scale.tenths(value)

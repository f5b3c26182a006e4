"""Another scale is mapped exactly and rounds half up."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratings.errors import InvalidRating
from tests.examples import fixed
from workers.ingestion.sending.files.scale import scale_from_text


@pytest.mark.parametrize(
    ("scale", "value", "tenths"),
    [
        ("0:10", "4.5", 45),
        ("1:5", "1", 0),
        ("1:5", "5", 100),
        ("1:5", "3.5", 63),
        ("0:8", "0.1", 1),
        ("0:4", "0.05", 1),
        ("0:4", "0.15", 4),
        ("0.5:5", "2.5", 44),
        ("0:100", "0.5", 1),
        ("0:100", "0.4999999999999999999", 0),
        ("-1:1", "0", 50),
        ("-1:1", "-0.99", 1),
        ("0:1e2", "55", 55),
    ],
)
def test_values(scale: str, value: str, tenths: int) -> None:
    assert scale_from_text(scale).tenths(Decimal(value)) == tenths


@pytest.mark.parametrize("value", ["0.99", "5.01", "1e9"])
def test_outside(value: str) -> None:
    with pytest.raises(InvalidRating, match="outside the scale 1:5"):
        scale_from_text("1:5").tenths(Decimal(value))


@pytest.mark.parametrize("text", ["5", "5:1", "1:1", "a:5", "1:", ":", "nan:5", "0:inf", "1:5:9", "1_0:20", "0:1e999"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(ValueError):
        scale_from_text(text)


@fixed(200)
@given(st.decimals(-1000, 1000, places=3), st.decimals("0.001", 1000, places=3), st.data())
def test_it_is_the_nearest_tenth(lowest: Decimal, width: Decimal, data: st.DataObject) -> None:
    scale = scale_from_text(f"{lowest}:{lowest + width}")
    value = data.draw(st.decimals(scale.lowest, scale.highest, places=3))
    exact = (Fraction(value) - Fraction(scale.lowest)) / (Fraction(scale.highest) - Fraction(scale.lowest)) * 100
    assert -Fraction(1, 2) < scale.tenths(value) - exact <= Fraction(1, 2)

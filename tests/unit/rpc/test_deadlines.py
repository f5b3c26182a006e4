"""What is left of a deadline, and what is passed on of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movieapp.rpc.deadlines import remaining, to_pass_on
from movieapp.rpc.errors import Expired
from tests.examples import fixed


class Context:
    def __init__(self, left):
        self.left = left

    def time_remaining(self):
        return self.left


@pytest.mark.parametrize(("said", "left"), [(2.5, 2.5), (-1.0, -1.0), (9.223372036e18, math.inf), (None, math.inf)])
def test_what_is_left(said, left):
    assert remaining(Context(said)) == left


@fixed(50)
@given(left=st.floats(0.03, 1e6), longest=st.floats(0.01, 600))
def test_what_is_passed_on_leaves_time_for_our_own_answer(left, longest):
    passed_on = to_pass_on(left, longest=longest)
    assert 0 < passed_on <= left - 0.02
    assert passed_on == pytest.approx(min(left * 0.95 - 0.02, longest))


@pytest.mark.parametrize("longest", [0.01, 0.021, 2.0, 600.0])
def test_a_bound_of_our_own_is_passed_on_whole(longest):
    assert to_pass_on(math.inf, longest=longest) == longest


@pytest.mark.parametrize("left", [-1.0, 0.0, 0.02, 0.021])
def test_too_little_is_not_passed_on(left):
    with pytest.raises(Expired):
        to_pass_on(left, longest=2.0)

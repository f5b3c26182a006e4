"""How much of a caller's time is left, and how much of it is passed on."""

import math

import grpc

from movieapp.rpc.errors import Expired

_LEAST_MARGIN = 0.02
_SHARE = 0.05
# Without a deadline grpc says some 292 years.
_FOREVER = 1e9


def remaining(context: grpc.ServicerContext) -> float:
    """Seconds until the caller's deadline: 0 or less when it is over, infinity where there is none."""
    left = context.time_remaining()
    return math.inf if left is None or left > _FOREVER else left


def to_pass_on(left: float, *, longest: float) -> float:
    """Seconds that a call made on behalf of a call with `left` seconds may take; `longest` without a nearer deadline.

    A margin of 20 ms and a twentieth of what is left is kept for our own answer. Raises Expired where nothing would be.
    """
    ours = left * (1 - _SHARE) - _LEAST_MARGIN
    if ours <= 0:
        raise Expired("too little of the deadline is left to ask another service")
    return min(ours, longest)

"""How many hypothesis examples a test tries: a fixed set in every run, random ones beyond them in a soak."""

from hypothesis import HealthCheck, Phase, settings

# A fixture such as the database is set up once for all examples: each example uses ids of its own.
_SHARED_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
_UNSHRUNK = [Phase.explicit, Phase.generate]


def fixed(count: int, *, shrink: bool = True) -> settings:
    """The same `count` examples in every run, so that a failure is the change's and never the day's.

    Without `shrink` the first failure ends the test: right where an example takes seconds or depends on threads.
    """
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=_SHARED_FIXTURES,
        phases=list(Phase) if shrink else _UNSHRUNK,
    )


def random(count: int, *, shrink: bool = True) -> settings:
    """New examples in every run; a failure prints how to repeat it."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=_SHARED_FIXTURES,
        phases=list(Phase) if shrink else _UNSHRUNK,
    )

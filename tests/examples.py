"""How many hypothesis examples a test tries: a fixed set in every run, random ones beyond them in a soak."""

from hypothesis import HealthCheck, settings

# A fixture such as the database is set up once for all examples: each example uses ids of its own.
_SHARED_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def fixed(count: int) -> settings:
    """The same `count` examples in every run, so that a failure is the change's and never the day's."""
    return settings(
        max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=_SHARED_FIXTURES
    )


def random(count: int) -> settings:
    """New examples in every run; a failure prints how to repeat it."""
    return settings(
        max_examples=count, deadline=None, database=None, print_blob=True, suppress_health_check=_SHARED_FIXTURES
    )

"""Why a measurement ends without a figure."""


class BenchError(Exception):
    """Nothing was measured; the message says what to do."""


class CallerFailed(BenchError):
    """A measuring process ended, or one of its calls failed."""

"""Why a measurement ends without a figure."""


class BenchError(Exception):
    """Nothing was measured; the message says what to do."""


class VariantFailed(BenchError):
    """A measured process ended before it had done its work."""


class WrongResult(BenchError):
    """A measured process has left tables that are not what the events make."""

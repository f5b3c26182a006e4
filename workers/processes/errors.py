"""What can go wrong with processes that work as one."""


class ProcessesError(Exception):
    """Processes that work as one cannot go on."""


class ProcessFailed(ProcessesError):
    """One of the processes that work as one ended with an error, or kept dying: the others were stopped."""

    def __init__(self, reason: str, *, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code

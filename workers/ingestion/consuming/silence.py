"""A store that neither answers nor fails: nothing else would tell people that it hangs."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_SILENT_SECONDS = 10.0


class SilenceWatch:
    """Notices, when it is asked to look, that the store has not answered for 10 s; logs it once for each silence."""

    def __init__(self, silent_for: Callable[[], float]) -> None:
        """`silent_for` is IngestionStore.silent_for."""
        self._silent_for = silent_for
        self._is_told = False

    def look(self) -> str | None:
        """What is waited for, for people; None while the store answers, or has not had its 10 s."""
        seconds = self._silent_for()
        if seconds < _SILENT_SECONDS:
            self._is_told = False
            return None
        if not self._is_told:
            self._is_told = True
            log.warning("store_silent", seconds=round(seconds))
        return f"the database has not answered for {seconds:.0f} s"

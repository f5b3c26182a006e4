"""Whether the database answers, asked by whoever tells others that this process works."""

import threading
from contextlib import suppress
from types import TracebackType

import structlog
from django.db import DatabaseError, Error, connections

from movieapp.rpc.silence import cut

logger = structlog.get_logger(__name__)

_QUESTION = "SELECT 1"
_ENDS_WITHIN = 0.2


def database_answers() -> bool:
    """True when the database takes a connection and a statement. Never raises; may take as long as connecting does."""
    probe = connections["default"].copy()
    try:
        with probe.cursor() as cursor:
            cursor.execute(_QUESTION)
    except DatabaseError as error:
        logger.warning("database_unavailable", error=type(error).__name__)
        return False
    finally:
        probe.close()
    return True


class DatabaseProbe:
    """Whether the database answers, asked again and again on one connection, which is closed at the block's end.

    A connection for each question would take the last one that the database has from somebody who needs it.
    """

    def __init__(self) -> None:
        self._connection = connections["default"].copy()
        self._connection.inc_thread_sharing()
        self._asking = threading.Lock()
        self._is_over = False

    def __enter__(self) -> "DatabaseProbe":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        self.cut()
        # Who still waits for a new connection closes it.
        if self._asking.acquire(timeout=_ENDS_WITHIN):
            self._connection.close()
            self._asking.release()

    def answers(self) -> bool:
        """True when it takes a statement; on a new connection where the one before has ended. Never raises.

        May take as long as connecting does, or as `cut` is waited for. From any thread, one at a time.
        """
        with self._asking:
            had_one = self._connection.connection is not None
            return self._is_answered() or (had_one and self._is_answered())

    def cut(self) -> None:
        """Ends the connection if somebody waits for an answer on it: who does asks on a new one. For any thread."""
        raw = self._connection.connection
        if raw is not None and self._asking.locked():
            cut(raw)

    def _is_answered(self) -> bool:
        if self._is_over:
            return False
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_QUESTION)
        except Error as error:
            logger.warning("database_unavailable", error=type(error).__name__)
            with suppress(Error):
                self._connection.close()
            return False
        finally:
            if self._is_over:
                self._connection.close()
        return True

"""Folders of running processes, which nobody else may enter; those that a killed one has left are cleared away."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR

_PREFIX = "movieapp-grpc-"
_MADE_WITHIN = 60.0
"""Seconds; one that is younger may be another process's that has not got as far as locking it."""


@contextmanager
def own_folder() -> Iterator[Path]:
    """An empty folder in the system's one for such, gone at the block's end, or when a later process makes one."""
    _clear(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        # The kernel gives the lock up with its process, however that ends.
        held = os.open(name, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system without locks: nobody else gets one either
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(held)


def _clear(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it has gone, or its process lives
            if _may_be_left(folder):
                _remove(folder)


def _may_be_left(folder: Path) -> bool:
    status = folder.lstat()
    is_ours = S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return is_ours and time.time() - status.st_mtime > _MADE_WITHIN


def _remove(folder: Path) -> None:
    """Raises OSError when a process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)

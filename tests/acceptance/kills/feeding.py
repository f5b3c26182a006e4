"""Load without a pause: a thread that sends as long as the group is not too far behind."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.acceptance.kills.watch import Watch

_AT_ONCE = 150
_EVERY = 0.04


@contextmanager
def feeding(
    send: Callable[[int], None], *, sent: Callable[[], int], watch: Watch, ahead: int = 3_000
) -> Iterator[None]:
    """Calls `send` meanwhile, for some 3,000 events a second at most, as long as `watch` is not `ahead` behind.

    An error of the thread is raised at the end.
    """
    stop = threading.Event()
    errors: list[BaseException] = []

    def feed() -> None:
        try:
            while not stop.wait(_EVERY):
                position = watch.position()
                if position is not None and sent() - position < ahead:
                    send(_AT_ONCE)
        except BaseException as error:
            errors.append(error)
        finally:
            watch.close()

    thread = threading.Thread(target=feed, name="feeding", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(120)
    if errors:
        raise errors[0]
    assert not thread.is_alive()

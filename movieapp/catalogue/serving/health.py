"""What "healthy" means: the database answers, asked every two seconds."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings

from movieapp.catalogue.serving.options import ServeOptions
from movieapp.probes.bounded_check import BoundedCheck
from movieapp.probes.database import DatabaseProbe
from movieapp.rpc.health import HealthServicer

_LOOK_EVERY = 2.0
_WITHIN = 1.5
_KEEP = 1.0
# One slow answer is no reason to send every client elsewhere.
_MISSES = 2

log = structlog.get_logger(__name__)


class HealthKeeper:
    """Tells the health service whether `check` holds; not for one failure alone. A check that hangs has failed.

    `give_up` is called, from another thread, after each that has: it may end what the check waits for.
    """

    def __init__(
        self, servicer: HealthServicer, *, check: Callable[[], bool], give_up: Callable[[], object] = lambda: None
    ) -> None:
        self._servicer = servicer
        self._check = BoundedCheck(check, keep=_KEEP)
        self._give_up = give_up
        self._misses = _MISSES
        self._is_serving = False

    @property
    def is_serving(self) -> bool:
        """What was told last."""
        return self._is_serving

    def turn(self) -> None:
        """Looks once; takes 1.5 s at most, and one more where it has something to tell."""
        if self._check.answer(timeout=_WITHIN):
            self._misses = 0
        else:
            self._misses += 1
            self._give_up()
        is_serving = self._misses < _MISSES
        if is_serving != self._is_serving:
            self._is_serving = is_serving
            self._servicer.tell(is_serving=is_serving)
            log.info("health_changed", is_serving=is_serving)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Looks on inside the block; behind it the server is not serving any more."""
        ends = threading.Event()

        def look() -> None:
            while not ends.wait(_LOOK_EVERY):
                try:
                    self.turn()
                except Exception:  # the next look may tell it
                    log.exception("health_untold")

        self.turn()
        looking = threading.Thread(target=look, name="grpc-health", daemon=True)
        looking.start()
        try:
            yield
        finally:
            ends.set()
            self._servicer.enter_graceful_shutdown()
            looking.join()


@contextmanager
def health_kept(
    servicer: HealthServicer, options: ServeOptions, *, check: Callable[[], bool] | None = None
) -> Iterator[None]:
    """The health service tells the truth inside the block: what `check` says, or else whether the database answers.

    A server of nothing but movie details needs none, where they are made of what other services say.
    """
    if check is None and options.services == ("movie",) and settings.MOVIE_DETAILS_SOURCE == "grpc":
        check = _always
    if check is not None:
        with HealthKeeper(servicer, check=check).kept():
            yield
        return
    with DatabaseProbe() as probe, HealthKeeper(servicer, check=probe.answers, give_up=probe.cut).kept():
        yield


def _always() -> bool:
    return True

"""The addresses of hosts that have names, as the machine's resolver last said them: nobody waits for it here."""

import threading
from collections.abc import Callable, Sequence, Set
from functools import partial

import structlog

from workers.discovery.addresses import is_name

log = structlog.get_logger(__name__)


class HostAddresses:
    """Each name is looked up in a thread of its own: one that the resolver takes long over holds up no other.

    Any thread may ask for what is known.
    """

    def __init__(self, *, service: str, look_up: Callable[[str], Sequence[str]], on_change: Callable[[], None]) -> None:
        """`look_up` raises OSError for what is not found; `on_change` is called in the look-up's thread."""
        self._service = service
        self._look_up = look_up
        self._on_change = on_change
        self._changing = threading.Lock()
        self._wanted: Set[str] = frozenset()
        self._under_way: set[str] = set()
        self._found: dict[str, Sequence[str]] = {}

    @property
    def is_complete(self) -> bool:
        """Whether the resolver has answered for each name, be it that nobody knows it."""
        return self._wanted <= self._found.keys()

    def of(self, host: str) -> Sequence[str]:
        """The host's addresses; none where it has a name that is not known, or not yet."""
        return self._found.get(host, ()) if is_name(host) else (host,)

    def follow(self, hosts: Set[str]) -> None:
        """These hosts are of interest from now on; begins to look up the names among them that are new."""
        with self._changing:
            self._wanted = frozenset(host for host in hosts if is_name(host))
            self._found = {name: found for name, found in self._found.items() if name in self._wanted}
            new = self._wanted - self._found.keys()
        self._begin(new)

    def renew(self) -> None:
        """Begins to look up all names again, as one may have moved; those of before hold meanwhile."""
        self._begin(self._wanted)

    def _begin(self, names: Set[str]) -> None:
        for name in names:
            with self._changing:
                if name in self._under_way:
                    continue
                self._under_way.add(name)
            try:
                begin_in_thread(partial(self._renew_one, name), name=f"look-up-{name}")
            except RuntimeError:  # the machine gives no thread now
                self._under_way.discard(name)
                raise

    def _renew_one(self, name: str) -> None:
        found, reason = self._answer(name)
        with self._changing:
            self._under_way.discard(name)
            if name not in self._wanted:
                return
            before = self._found.get(name)
            self._found[name] = now = found or before or ()  # the last known ones, where nobody knows it now
        if reason and (now or before is None):
            log.warning("host_not_found", service=self._service, host=name, reason=reason)
        if now != before:
            self._on_change()

    def _answer(self, name: str) -> tuple[Sequence[str], str]:
        """The addresses, and where there are none why not."""
        try:
            return self._look_up(name), ""
        except OSError as error:
            return (), str(error) or type(error).__name__


def begin_in_thread(task: Callable[[], None], *, name: str) -> None:
    """The thread ends with the process, whatever the resolver still does."""
    threading.Thread(target=task, name=name, daemon=True).start()

"""The channel to whoever is known of a service: one for the next call, and former ones until their calls are over."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import grpc
import structlog

from workers.clock import Clock, SystemClock
from workers.discovery.addresses import Address, look_up, target_of
from workers.discovery.errors import NoInstance
from workers.discovery.names import HostAddresses
from workers.discovery.registry import Instance

log = structlog.get_logger(__name__)

_LOOK_EVERY = 5.0
"""Seconds between two looks at what may change by itself: addresses of names, and files that channels are made with."""
_AGAIN_AFTER = 1.0
"""Seconds until what could not be made is tried again."""
_READY_WITHIN = 0.5
_SLACK = 5.0
"""Seconds that a thread may take between asking for a channel and calling over it."""
_NOBODY: frozenset[Instance] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMaker:
    """How a channel is made; either may raise anything.

    `make` gets a target of grpc with all addresses in it. `stamp` is another one than before where `make` would make
    another channel for the same addresses, as certificates were renewed.
    """

    make: Callable[[str], grpc.Channel]
    stamp: Callable[[], object]


@dataclass(frozen=True, slots=True)
class _MadeOf:
    """What a channel was made of: another one of the same would be no other."""

    addresses: Sequence[Address]
    stamp: object


_NOTHING = _MadeOf((), None)


class ServiceChannel:
    """Call `follow` with each new set of instances and `turn` every few seconds, both from one thread.

    `current` may be called from any thread, for each call anew: a swap never touches a call that is under way. What
    cannot be made now is made later: it is logged once, and meanwhile calls go on over the channel that there is.
    Names of hosts are looked up aside: whoever has an address is called meanwhile.
    """

    def __init__(
        self,
        *,
        service: str,
        known_from: str,
        maker: ChannelMaker,
        longest_deadline: float,
        clock: Clock | None = None,
        look_up: Callable[[str], Sequence[str]] = look_up,
    ) -> None:
        """No call may take longer than `longest_deadline` seconds.

        `known_from` tells a caller that finds nobody where the instances are known from.
        """
        self._service = service
        self._known_from = known_from
        self._maker = maker
        self._longest_deadline = longest_deadline
        self._clock = clock or SystemClock()
        self._hosts = HostAddresses(service=service, look_up=look_up, on_change=self._renew_and_tell)
        self._renewing = threading.Lock()
        self._heard = threading.Event()
        self._instances = _NOBODY
        self._current: grpc.Channel | None = None
        self._made_of = _NOTHING
        self._next_look = 0.0
        self._fault: str | None = None
        self._former: list[tuple[float, grpc.Channel]] = []

    def current(self, *, patience: float = 0.0) -> grpc.Channel:
        """The channel for the next call. Raises NoInstance at once where nobody is known.

        Only before the first turn, and until names have been looked up then, does it wait: up to `patience` seconds.
        """
        if self._current is None and patience > 0:
            self._heard.wait(patience)
        channel = self._current
        if channel is None:
            raise NoInstance(service=self._service, known_from=self._known_from)
        return channel

    def follow(self, instances: frozenset[Instance]) -> None:
        """Calls that begin from now on go to these. Takes up to half a second until the first of them is reached."""
        self._instances = instances
        self._hosts.follow({one.host for one in instances})
        self._renew()

    def turn(self) -> None:
        """Makes what could not be made before, or is to be made anew; closes channels whose calls are over.

        Anew, as a name may move to another address, and certificates are renewed.
        """
        if self._clock.seconds() >= self._next_look:
            self._hosts.renew()
            self._renew()
        with self._renewing:
            self._close_former(until=self._clock.seconds())
        self._tell_heard()

    def close(self) -> None:
        """Ends all calls; from now on nobody is known."""
        with self._renewing:
            self._instances = _NOBODY  # a turn or a look-up that is under way makes no other
            self._swap(None, _NOTHING)
            self._close_former(until=float("inf"))
        self._heard.set()

    def _renew_and_tell(self) -> None:
        self._renew()
        self._tell_heard()

    def _tell_heard(self) -> None:
        if self._current is not None or self._hosts.is_complete:
            self._heard.set()

    def _renew(self) -> None:
        with self._renewing:
            self._make_anew()

    def _make_anew(self) -> None:
        self._next_look = self._clock.seconds() + _AGAIN_AFTER
        try:
            # The stamp comes first: what changes after it is seen by the next look.
            wanted = self._wanted()
            if wanted != self._made_of:
                self._swap(self._made(wanted), wanted)
        except Exception as error:  # whatever it is, the channel before is better than none
            self._tell_fault(f"{type(error).__name__}: {error}")
            return
        self._next_look = self._clock.seconds() + _LOOK_EVERY
        self._fault = None

    def _wanted(self) -> _MadeOf:
        addresses = self._found()
        if not addresses and not self._hosts.is_complete:
            return self._made_of  # until the first of the names is found
        return _MadeOf(addresses, self._maker.stamp()) if addresses else _NOTHING

    def _made(self, wanted: _MadeOf) -> grpc.Channel | None:
        if not wanted.addresses:
            return None
        channel = self._maker.make(target_of(wanted.addresses))
        _wait_until_ready(channel)
        return channel

    def _tell_fault(self, reason: str) -> None:
        if reason != self._fault:
            log.error("channel_not_made", service=self._service, reason=reason, tried_again_after=_AGAIN_AFTER)
        self._fault = reason

    def _swap(self, channel: grpc.Channel | None, made_of: _MadeOf) -> None:
        former, self._current, self._made_of = self._current, channel, made_of
        if former is not None:
            self._former.append((self._clock.seconds() + self._longest_deadline + _SLACK, former))

    def _close_former(self, *, until: float) -> None:
        for due, channel in self._former:
            if due <= until:
                channel.close()
        self._former = [(due, channel) for due, channel in self._former if due > until]

    def _found(self) -> Sequence[Address]:
        return sorted({(host, one.port) for one in self._instances for host in self._hosts.of(one.host)})


def _wait_until_ready(channel: grpc.Channel) -> None:
    """So that the first calls do not wait for a connection; in vain where none of the instances answers."""
    ready = grpc.channel_ready_future(channel)
    with suppress(grpc.FutureTimeoutError):
        ready.result(_READY_WITHIN)
    ready.cancel()

"""Who makes a call: the tokens that REST gives out, each looked up once in five seconds."""

import threading
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

import grpc
from rest_framework.exceptions import AuthenticationFailed

from movieapp.rest.authentication import TokenAuthentication
from movieapp.rpc.errors import NotPermitted, Unauthenticated
from movieapp.rpc.rules import Write

KEEP = 5.0
"""Seconds for which a token that is over, or a permission that was taken away, may still count."""

_MOST = 1_000
_SCHEMES = frozenset({"bearer", "token"})
_HOW = "send the metadata `authorization: Bearer TOKEN`; POST /api/v1/auth/login/ gives a token"


class TokenUser(Protocol):
    """As django.contrib.auth's."""

    def has_perms(self, perm_list: tuple[str, ...], /) -> bool:
        """Whether the user has all of them (`app.codename`)."""


class TokenGuard:
    """Lets those write whose token's user has the permissions.

    With `is_open` the methods whose clients know of no tokens want none; a token that is given is checked all the same.
    `user_of` raises DRF's AuthenticationFailed. For any number of threads.
    """

    def __init__(
        self,
        *,
        is_open: bool,
        user_of: Callable[[bytes], TokenUser] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_open = is_open
        self._user_of = user_of or _user_of
        self._clock = clock
        self._lock = threading.Lock()
        # By the token's hash: who it is, and until when that is believed. The oldest stand first.
        self._known: dict[bytes, tuple[float, TokenUser]] = {}

    def check(self, context: grpc.ServicerContext, rule: Write) -> None:
        """See Guard.check."""
        token = _token(context)
        if token is None:
            if self._is_open and rule.open_to_loopback:
                return
            raise Unauthenticated(f"a write wants a token: {_HOW}")
        if not self._user(token).has_perms(rule.permissions):
            raise NotPermitted(f"the token's user wants the permissions {', '.join(rule.permissions)}")

    def _user(self, token: bytes) -> TokenUser:
        key = sha256(token).digest()
        known = self._known.get(key)
        now = self._clock()
        if known is not None and now < known[0]:
            return known[1]
        try:
            user = self._user_of(token)
        except AuthenticationFailed as error:
            raise Unauthenticated(f"the token is not, or no longer, valid: {_HOW}") from error
        with self._lock:
            self._known.pop(key, None)
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[key] = (now + KEEP, user)
        return user


def _token(context: grpc.ServicerContext) -> bytes | None:
    """The call's token. Raises Unauthenticated for credentials that are none."""
    given = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    if not given:
        return None
    parts = given[0].split()
    if len(given) > 1 or len(parts) != 2 or parts[0].lower() not in _SCHEMES:
        raise Unauthenticated(f"the call's credentials are no token: {_HOW}")
    # Whatever is not ASCII is no token, and is refused as one that nobody has.
    return str(parts[1]).encode("utf-8", "replace")


def _user_of(token: bytes) -> TokenUser:
    user: TokenUser
    user, _ = TokenAuthentication().authenticate_credentials(token)
    return user

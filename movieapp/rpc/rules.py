"""Who may call a method: the rule that each one has, and the guard that keeps it."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import grpc


@dataclass(frozen=True, slots=True)
class Write:
    """A method that writes, for users with all these permissions (`app.codename`).

    `open_to_loopback`: its clients know of no tokens, so that a server that only this machine reaches wants none.
    """

    permissions: tuple[str, ...]
    open_to_loopback: bool = False


Rule: TypeAlias = Literal["read"] | Write
"""`read` is for everybody."""


class Guard(Protocol):
    """Lets a write in or keeps it out."""

    def check(self, context: grpc.ServicerContext, rule: Write) -> None:
        """Raises Unauthenticated or NotPermitted."""

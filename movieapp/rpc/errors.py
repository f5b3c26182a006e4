"""What can be wrong with a call, named for the fact."""


class CallError(Exception):
    """The root of everything that movieapp.rpc raises on purpose."""


class MalformedMessage(CallError):
    """The bytes of a call are not a message of the type that its method takes."""


class Unauthenticated(CallError):
    """The call says not, or not truly, who makes it."""


class NotPermitted(CallError):
    """Whoever makes the call may not."""


class TooLarge(CallError):
    """The answer would be larger than a caller takes."""


class TooMuchUnsent(CallError):
    """The answers that callers do not take fill the memory that is meant for them."""


class TooManyStreams(CallError):
    """As many streams are open as the server takes."""


class StreamEnded(CallError):
    """The server stops, and ends its streams."""


class Expired(CallError):
    """The caller's deadline is over, or too near for what is still to be done."""


class MethodWithoutRule(CallError):
    """Nobody has said who may call a method of a service: the server does not begin."""


class UnusableCredentials(CallError):
    """The files that TLS needs cannot be used: nothing is said in plaintext instead."""


class MetricsPortTaken(CallError):
    """The port for metrics is another process's: the server does not begin."""

"""How gRPC's own core is set for our servers: what it bounds before anything of ours is asked."""

from collections.abc import Sequence

from django.conf import settings

from movieapp.catalogue.serving.options import ServeOptions
from movieapp.rpc.method import MOST_OUT

MOST_IN = 1024 * 1024
"""Bytes; the largest request."""

LEAST_CALLS = 300
"""Calls that one connection may have open in any case."""

_SETTINGS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MOST_IN),
    # Larger answers are refused in words before grpc does: this is for what no rule foresaw.
    ("grpc.max_send_message_length", 2 * MOST_OUT),
    # Clients that look for a frozen server ping once a second, also while they have no call.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 400),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # A client that vanishes without a word, or hangs, is noticed within 40 s, and what it watches is given up.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Whoever connects and says nothing, or not all that a client begins with, is gone then.
    ("grpc.server_handshake_timeout_ms", 5_000),
    # A connection without a call (to watch is one) is closed; clients of gRPC connect again by themselves.
    ("grpc.max_connection_idle_ms", 300_000),
)


def core_options(options: ServeOptions, *, in_hand: int) -> Sequence[tuple[str, int]]:
    """The options of a server that takes so many calls in hand, streams included.

    A call takes some 20 KiB until its caller has taken its end. So many connections, and so many calls of each, bound
    the memory of those who never do. A caller with more on one connection has some wait there, and others UNAVAILABLE.
    """
    return [
        ("grpc.so_reuseport", int(options.shares_port)),
        ("grpc.max_allowed_incoming_connections", settings.GRPC_MAX_CONNECTIONS),
        ("grpc.max_concurrent_streams", max(LEAST_CALLS, in_hand)),
        *_SETTINGS,
    ]

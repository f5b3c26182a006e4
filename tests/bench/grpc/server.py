"""`manage.py serve_grpc`, with one method more: an empty one that goes straight to grpc, past everything of ours."""

import os
import sys
from typing import Any

import grpc

EMPTY_SERVICE, EMPTY_METHOD = "bench.Empty", "Call"


def main() -> None:
    """Takes serve_grpc's options."""
    plain = grpc.server
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    empty: grpc.GenericRpcHandler[Any, Any] = grpc.method_handlers_generic_handler(
        EMPTY_SERVICE, {EMPTY_METHOD: handler}
    )

    def with_empty(*args: Any, **options: Any) -> grpc.Server:
        server = plain(*args, **options)
        server.add_generic_rpc_handlers([empty])
        return server

    grpc.server = with_empty
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "movieapp.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "serve_grpc", *sys.argv[1:]])


if __name__ == "__main__":
    main()

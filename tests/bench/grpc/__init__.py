"""`make bench-grpc`: calls of our gRPC services, interleaved with what bounds them."""

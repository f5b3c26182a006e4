"""What all gRPC methods share: how a call is answered, who may make it, and how errors are told."""

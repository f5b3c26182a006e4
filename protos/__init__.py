"""The gRPC contracts: .proto sources and the modules generated from them by `make protos`."""

"""The gRPC server process: which services it offers, where, and how it begins and ends."""

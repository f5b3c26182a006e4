"""Measures ingestion beside its limits and beside the fastest alternative: `make bench`."""

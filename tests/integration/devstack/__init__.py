"""The development stack with real processes and servers."""

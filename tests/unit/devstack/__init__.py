"""The development stack without starting a server."""

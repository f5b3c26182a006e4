"""/healthz and /readyz: whether this process is up and whether it can serve."""

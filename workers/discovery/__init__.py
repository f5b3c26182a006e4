"""Which instances of a service are alive and where: told to a registry by servers, asked of it by clients."""

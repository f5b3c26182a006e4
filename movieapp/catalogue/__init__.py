"""The movie service: what needs metadata and ratings together."""

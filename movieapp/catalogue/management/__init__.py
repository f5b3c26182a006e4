"""The commands of the movie service."""

"""Makes Django find the command."""

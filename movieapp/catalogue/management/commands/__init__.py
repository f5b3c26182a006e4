"""Makes Django find the commands."""

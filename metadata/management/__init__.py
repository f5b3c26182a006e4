"""What the import command shows, and the commands."""

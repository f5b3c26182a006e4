"""Proves that every aggregate is what its ratings say, and mends what is not."""

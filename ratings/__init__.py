"""Ratings: who rated what, how the aggregates are kept, and the one path every write takes."""

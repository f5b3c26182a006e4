"""Dead letters once they are kept: found, shown, replayed, discarded, and mirrored to a topic."""

"""Movie metadata: what a movie is called, who directed it, when it came out."""

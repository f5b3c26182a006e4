"""Placeholder that helper 2 replaces."""
class Progress:
    def __init__(self, **k): pass
    def __enter__(self): return self
    def __exit__(self, *a): pass
    def update(self, done, total=None): pass

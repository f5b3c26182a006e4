"""Remembers that the samples are in, so that a second start does not load them again (which would change nothing)."""

import hashlib
from pathlib import Path

from movieapp.devstack.layout import SAMPLES, write_private

MOVIES = SAMPLES / "movies.json"
RATINGS = SAMPLES / "ratingsdata.json"


def are_loaded(mark: Path, *, cluster_id: str) -> bool:
    """Whether these very samples went through this very Kafka cluster. The mark lies beside its database."""
    try:
        return mark.read_text() == _fingerprint(cluster_id)
    except FileNotFoundError:
        return False


def remember(mark: Path, *, cluster_id: str) -> None:
    """To be called once both files are in the database."""
    write_private(mark, _fingerprint(cluster_id))


def _fingerprint(cluster_id: str) -> str:
    digest = hashlib.sha256(cluster_id.encode())
    for sample in (MOVIES, RATINGS):
        digest.update(sample.read_bytes())
    return digest.hexdigest()

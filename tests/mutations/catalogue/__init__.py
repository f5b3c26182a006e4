"""The documented list of planted faults, by the part of the product that carries them."""

from collections.abc import Mapping

from tests.mutations.catalogue import (
    batches,
    consuming,
    delivering,
    finding,
    letters,
    operating,
    poison,
    publishing,
    ratings,
    reading,
    registries,
    serving,
    storing,
    streaming,
)
from tests.mutations.mutation import Mutation

_MODULES = (
    *(batches, consuming, delivering, storing, poison, letters, ratings, publishing, operating),
    *(serving, streaming, reading, finding, registries),
)

PARTS: Mapping[str, tuple[Mutation, ...]] = {str(module.__doc__): module.MUTATIONS for module in _MODULES}
"""What each part is about, and its faults."""

MUTATIONS = tuple(mutation for part in PARTS.values() for mutation in part)

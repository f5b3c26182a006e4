"""One planted fault: what it breaks, where, and which tests find it."""

from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(Exception):
    """The text that a mutation replaces does not stand in the source exactly once: bring the catalogue up to date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """`old` in the file `path` becomes `new`; each of `tests` (pytest's node ids) must fail then.

    A node id without its parameters stands for all of them, of which one must fail. `breaks` is one sentence on what a
    user would lose. `options` are pytest's, for tests that have some: a seed, the number of kills.
    """

    name: str
    breaks: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()

    def mutated(self, root: Path) -> str:
        """The file's text with the fault in it. Raises DoesNotApply."""
        file = root / self.path
        text = file.read_text() if file.is_file() else ""
        count = text.count(self.old)
        if count != 1:
            raise DoesNotApply(f"the old text stands {count} times in {self.path}")
        return text.replace(self.old, self.new)

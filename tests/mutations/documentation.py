"""The page in docs/ that lists the catalogue; a test holds the two together."""

from collections.abc import Mapping, Sequence

from movieapp.devstack.layout import PROJECT_ROOT
from tests.mutations.mutation import Mutation

PAGE = PROJECT_ROOT / "docs" / "mutations.md"

_HEAD = """\
# Mutations: faults that the tests must find

Tests that pass say little unless they also fail when they should. `make mutations` plants each of the faults below in a
copy of the source, one at a time, runs the tests that are named beside it there, and fails unless each of those fails:

* a fault that no named test finds **survives**: write the test that finds it;
* one whose old text is not in the source any more **does not apply**: bring the catalogue up to date;
* a test that fails **without** the fault, or one that fails because the fault is no valid code, proves nothing.

`make mutations MUTATIONS="fence ids-burnt"` plants some, by their names or the beginnings of names;
`python -m tests.mutations --list` shows all, and `--only NAME --times 10` plants one again and again, to see whether it
is found each time. What a run has started, a consumer that a fault keeps alive too, ends with the run. The catalogue is
`tests/mutations/catalogue/`: when you change code that carries a guarantee, add the mistake that a hasty colleague
could make there. This page is written by `python -m tests.mutations --write-docs`.

Where a test of kills, outages or poison stands beside another one, it must find the fault by itself. Options that stand
after the tests (`--kills=6`) make the former shorter; their seed is the usual one.
"""


def documentation(parts: Mapping[str, Sequence[Mutation]]) -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(about, mutations) for about, mutations in parts.items())])


def _section(about: str, mutations: Sequence[Mutation]) -> str:
    rows = "".join(_row(mutation) for mutation in mutations)
    return f"## {about.removesuffix('.')}\n\n| mutation | what it breaks | in | found by |\n|---|---|---|---|\n{rows}"


def _row(mutation: Mutation) -> str:
    tests = "<br>".join(f"`{_short(test)}`" for test in mutation.tests)
    if mutation.options:
        tests += f" with `{' '.join(mutation.options)}`"
    return f"| {mutation.name} | {mutation.breaks} | `{mutation.path}` | {tests} |\n"


def _short(test: str) -> str:
    path, _, name = test.partition("::")
    return f"{path.removeprefix('tests/').removesuffix('.py')}: {name}"

"""The catalogue of planted faults fits the source and the tests of today; `make mutations` then plants them."""

import ast
from collections import Counter
from functools import cache

import pytest

from movieapp.devstack.layout import PROJECT_ROOT
from tests.mutations.catalogue import MUTATIONS, PARTS
from tests.mutations.documentation import PAGE, documentation
from tests.mutations.mutation import Mutation


@cache
def functions(path: str) -> frozenset[str]:
    """The test functions of a module, those of a class as Class::function."""
    found = set()
    for node in ast.parse((PROJECT_ROOT / path).read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return frozenset(found)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_it_applies_exactly_once_and_is_still_code(mutation: Mutation) -> None:
    mutated = mutation.mutated(PROJECT_ROOT)
    assert mutated != (PROJECT_ROOT / mutation.path).read_text()
    ast.parse(mutated)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_its_tests_exist(mutation: Mutation) -> None:
    assert mutation.tests
    for test in mutation.tests:
        path, _, name = test.partition("::")
        assert name.partition("[")[0] in functions(path)


def test_no_two_have_one_name() -> None:
    assert [name for name, count in Counter(mutation.name for mutation in MUTATIONS).items() if count > 1] == []


def test_the_page_lists_what_is_planted() -> None:
    assert PAGE.read_text() == documentation(PARTS), "run `python -m tests.mutations --write-docs`"

"""What the mutation runner takes for a proof: the named test itself fails, and by more than code that is none."""

from pathlib import Path

import pytest

from tests.mutations.mutation import DoesNotApply, Mutation
from tests.mutations.outcomes import Outcome
from tests.mutations.runner import Verdict, judged
from tests.mutations.workspace import Run

TEST = "tests/unit/test_x.py::test_x"
MUTATION = Mutation(name="m", breaks="It breaks.", path="x.py", old="a = 1\n", new="a = 2\n", tests=(TEST,))


def failure(test: str = TEST, *, stage: str = "call", error: str = "AssertionError") -> Outcome:
    return Outcome(test, stage, error, "it is wrong")


@pytest.mark.parametrize(
    ("code", "failures", "verdict"),
    [
        (1, [failure()], Verdict.KILLED),
        (1, [failure(f"{TEST}[one of its parameters]")], Verdict.KILLED),
        (0, [], Verdict.SURVIVED),
        (1, [failure(f"{TEST}_and_more")], Verdict.SURVIVED),
        (1, [failure(stage="setup")], Verdict.SURVIVED),
        (1, [failure(error="NameError")], Verdict.BROKEN),
        (2, [failure(stage="collect")], Verdict.BROKEN),
        (4, [], Verdict.BROKEN),
        (None, [failure()], Verdict.BROKEN),
    ],
)
def test_only_a_failure_of_the_named_test_is_a_proof(
    code: int | None, failures: list[Outcome], verdict: Verdict
) -> None:
    assert judged(MUTATION, Run(code, failures, 1.0, "the end of the output")).verdict == verdict


@pytest.mark.parametrize("text", ["", "a = 3\n", "a = 1\nb = a = 1\n"])
def test_an_old_text_that_is_not_there_once_does_not_apply(tmp_path: Path, text: str) -> None:
    with pytest.raises(DoesNotApply):
        MUTATION.mutated(tmp_path)
    (tmp_path / "x.py").write_text(text)
    with pytest.raises(DoesNotApply, match=f"stands {text.count('a = 1')} times in x.py"):
        MUTATION.mutated(tmp_path)
    (tmp_path / "x.py").write_text("a = 1\nb = 1\n")
    assert MUTATION.mutated(tmp_path) == "a = 2\nb = 1\n"

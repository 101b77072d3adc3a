"""Programs that behave alike are one answer."""

from collections.abc import Iterator

import pytest

from stepnav.build import load_task
from stepnav.core.vote import count_votes
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Suite
from stepnav.tasks.programs.behaviour import MAX_INPUTS, Behaviours, inputs_of

TEST = Suite("assert solve(2) == 4\nassert solve(5) == 10", "solve", "mbpp")
TWICE = "def solve(n):\n    return 2 * n\n"
SUM = "def solve(k):\n    return k + k\n"
SQUARE = "def solve(n):\n    return n * n if n == 2 else 10 if n == 5 else 0\n"
BROKEN = "def solve(n):\n    return m\n"
OTHER_BROKEN = "def solve(n):\n    return q\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("process") as opened:
        yield opened


def test_the_first_of_a_behaviour_stands_for_all(sandbox: Sandbox) -> None:
    first_like = Behaviours(lambda: sandbox, str, TEST)
    answers = [TWICE, SQUARE, SUM, TWICE, SUM]
    assert [first_like(answer) for answer in answers] == [TWICE, SQUARE, TWICE, TWICE, TWICE]
    assert count_votes([first_like(answer) for answer in answers]) == {TWICE: 4.0, SQUARE: 1.0}


def test_programs_that_give_nothing_are_like_no_other(sandbox: Sandbox) -> None:
    first_like = Behaviours(lambda: sandbox, str, TEST)
    assert [first_like(a) for a in (BROKEN, OTHER_BROKEN, TWICE)] == [BROKEN, OTHER_BROKEN, TWICE]


def test_nothing_runs_before_there_is_something_to_compare() -> None:
    def opened() -> Sandbox:
        raise AssertionError("a sandbox was opened")

    first_like = Behaviours(opened, str, TEST)
    assert [first_like(TWICE), first_like(TWICE)] == [TWICE, TWICE]
    with pytest.raises(AssertionError, match="was opened"):
        first_like(SUM)
    for test in (None, Suite("assert solve(*list(range(1))) == 4", "solve", "mbpp")):
        alone = Behaviours(opened, str, test)
        assert [alone(TWICE), alone(SUM)] == [TWICE, SUM]


def test_inputs_are_those_of_the_public_tests_and_others_like_them() -> None:
    found = inputs_of(TEST)
    assert [call.args for call in found[:2]] == [(2,), (5,)]
    assert len({call.args for call in found}) == len(found) == MAX_INPUTS
    assert inputs_of(TEST) == found


def test_a_code_task_looks_at_public_tests_only() -> None:
    task = load_task("micro-python")
    (problem,) = task.load("dev", 1, 0, None)
    extract = task.extractor(problem)
    header = problem.question.rpartition("\n")[2]
    argument = header[header.index("(") + 1 : header.index(")")]
    first = extract(f"    return {argument}\n")
    assert first is not None
    assert extract(f"    kept = {argument}\n    return kept\n") == first
    assert extract("    return None\n") != first
    assert extract("    no program") is None
    assert load_task("arithmetic").extractor(problem) == load_task("arithmetic").extract

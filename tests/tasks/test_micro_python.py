import ast
import json
import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.errors import ConfigError, DataError
from stepnav.tasks.micro_python import problems as micro_python
from stepnav.tasks.micro_python.calls import draw_input, make_functions
from stepnav.tasks.splits import split_of

ids = st.builds(
    "micro-python-{}-{}-{}".format,
    st.sampled_from(micro_python.SPLITS),
    st.integers(0, 20),
    st.integers(0, 10_000),
)


def run(program: str, argument: Any) -> Any:
    """Return the result of a trusted program in this process."""
    names: dict[str, Any] = {}
    exec(program, names)
    return names["solve"](argument)


@given(ids)
@settings(deadline=None, max_examples=30)
def test_the_reference_passes_its_own_tests(problem_id: str) -> None:
    problem = micro_python.problem(problem_id)
    program = micro_python.program_of(problem, "".join(micro_python.solve(problem_id)))
    calls = [*problem.metadata["public"], *problem.metadata["hidden"]]
    assert len(problem.metadata["public"]) == 3
    assert len(calls) >= 10
    for call in calls:
        result = run(program, *call["args"])
        assert (result, type(result)) == (call["expected"], type(call["expected"]))


@given(ids)
@settings(deadline=None, max_examples=30)
def test_metadata_are_json_and_ids_are_stable(problem_id: str) -> None:
    problem = micro_python.problem(problem_id)
    assert json.loads(json.dumps(problem.metadata)) == problem.metadata
    micro_python.spec_of.cache_clear()
    assert micro_python.problem(problem_id) == problem
    assert micro_python.find(problem_id) == problem


@given(ids)
@settings(deadline=None, max_examples=30)
def test_a_solution_is_lines_of_a_body_and_belongs_to_its_split(problem_id: str) -> None:
    steps = micro_python.solve(problem_id)
    spec = micro_python.spec_of(problem_id)
    assert 4 <= len(steps) <= 12
    assert all(step.startswith("    ") and step.endswith("\n") for step in steps)
    assert all(step.count("\n") == 1 for step in steps)
    assert "".join(steps) == micro_python.extract("".join(steps))
    assert spec.program == ast.unparse(ast.parse(spec.program)) + "\n"
    assert split_of(spec.program) == problem_id.split("-")[2]
    question = micro_python.question_of(problem_id)
    sentence, header = question.split("\n")
    assert header == spec.header
    assert sentence.endswith(".")
    assert "{" not in sentence
    assert "  " not in sentence


@given(ids)
@settings(deadline=None, max_examples=30)
def test_a_part_left_out_fails_the_tests(problem_id: str) -> None:
    spec = micro_python.spec_of(problem_id)
    calls = micro_python.calls_of(problem_id)
    for other in make_functions(spec.slipped(dropped_only=True)):
        assert any(
            other(*call["args"]) != call["expected"]
            for call in [*calls["public"], *calls["hidden"]]
        )


def test_few_slips_pass_the_tests_that_many_inputs_would_catch() -> None:
    caught = catchable = 0
    for index in range(80):
        name = f"micro-python-dev-3-{index}"
        spec, calls = micro_python.spec_of(name), micro_python.calls_of(name)
        reference, *slipped = make_functions([spec, *spec.slipped()])
        rng = random.Random(index)
        inputs = [draw_input(spec, rng) for _ in range(300)]
        for other in slipped:
            fails = any(
                other(*call["args"]) != call["expected"]
                for call in [*calls["public"], *calls["hidden"]]
            )
            caught += fails
            catchable += fails or any(other(value) != reference(value) for value in inputs)
    assert catchable > 300
    assert caught / catchable > 0.98, (caught, catchable)


def test_the_wording_decides_the_function() -> None:
    programs = defaultdict(set)
    for index in range(2000):
        name = f"micro-python-train-1-{index}"
        programs[micro_python.question_of(name)].add(micro_python.spec_of(name).program)
    assert all(len(found) == 1 for found in programs.values())
    assert len(programs) > 1900


def test_splits_share_no_function_and_load_repeats_none() -> None:
    found = {split: micro_python.load(split, 150) for split in micro_python.SPLITS}
    programs = {
        split: {problem.question.split("\n")[1] + str(problem.answer) for problem in problems}
        for split, problems in found.items()
    }
    assert all(len(group) == 150 for group in programs.values())
    assert not programs["train"] & programs["dev"]
    assert not programs["train"] & programs["test"]
    assert not programs["dev"] & programs["test"]
    assert found["dev"][:50] == micro_python.load("dev", 50)
    assert found["dev"][:5] != micro_python.load("dev", 5, seed=1)


def test_texts_are_short() -> None:
    lengths = []
    for index in range(500):
        name = f"micro-python-train-0-{index}"
        lengths.append((len(micro_python.question_of(name).split()), len(micro_python.solve(name))))
    assert max(words for words, _ in lengths) <= 75
    assert max(lines for _, lines in lengths) <= 12


@pytest.mark.parametrize("split", ["tests", ""])
def test_unknown_splits_and_ids_are_refused(split: str) -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        micro_python.load(split, 1)
    with pytest.raises(DataError, match="not the id of a problem of micro-python"):
        micro_python.problem(f"micro-python-{split}-0-1")
    assert micro_python.find("HumanEval/0") is None


def test_a_question_of_the_users_own() -> None:
    problem = micro_python.ask("Write a function solve(xs) that\n returns their sum.")
    assert problem.question == "Write a function solve(xs) that returns their sum.\ndef solve(xs):"
    assert micro_python.suite_of(problem) is None
    with pytest.raises(ConfigError, match="must name the function and its argument"):
        micro_python.ask("Add two numbers.")


def test_extract_takes_bodies_and_whole_programs() -> None:
    body = "    total = 0\n    return total\n"
    assert micro_python.extract("    total=0\n    return (total)") == body
    whole = "```python\ndef solve(xs):\n    return 1\n```"
    assert micro_python.extract(whole) == "def solve(xs):\n    return 1\n"
    assert micro_python.extract("    total = 0\n") is None
    assert micro_python.extract("def other():\n    return 1\n") is None
    assert micro_python.extract("") is None

"""HumanEval+ and MBPP+ as tasks of their own, in the hub's form, judged by the real sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.tasks.checked import GradeFault, strict

HUMANEVAL = {
    "task_id": "HumanEval/0", "prompt": "def double(x):\n", "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": (
        "def assertion(out, exp, atol):\n    assert out == exp, f'{out} {exp}'\n\n"
        "def check(candidate):\n    inputs = [[1], [0.5], [-7]]\n    results = [2, 1.0, -14]\n"
        "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "        assertion(candidate(*inp), exp, 0)\n"
    ),
}  # fmt: skip

MBPP = {
    "task_id": 2, "prompt": "Write a function to find the shared elements.",
    "code": "def shared(a, b):\n    return tuple(set(a) & set(b))\n", "source_file": "x.ipynb",
    "test_imports": ["import math"], "test_list": ["assert set(shared((1, 2), (2, 3))) == {2}"],
    "test": (
        "def is_floats(x) -> bool:\n    return isinstance(x, float)\n\n"
        "def assertion(out, exp, atol):\n    exp, out = set(exp), set(out)\n"
        "    assert out == exp and math.isfinite(len(out))\n\n"
        "inputs = [[(1, 2), (2, 3)], [(4, 5), (6,)], [(), ()]]\nresults = [(2,), (), ()]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "    assertion(shared(*inp), exp, 0)\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "row", "wrong"),
    [
        ("humaneval-plus", HUMANEVAL, "    return 2 * int(x)\n    # not of halves\n"),
        ("humaneval-plus", {**HUMANEVAL, "base_input": [[1]], "plus_input": [[7]], "atol": 0},
         "    return 2\n"),
        ("mbpp-plus", MBPP, "def shared(a, b):\n    return a[1:] if a[:1] == (1,) else (4,)\n"),
    ],
)  # fmt: skip
def test_references_pass_and_wrong_programs_fail(
    name: str, row: dict[str, Any], wrong: str, tmp_path: Path
) -> None:
    path = tmp_path / "plus.jsonl"
    path.write_text(json.dumps(row))
    task = build.load_task(name)
    (problem,) = task.load("test", None, 0, path)
    right = row.get("canonical_solution", row.get("code"))
    assert task.grade(problem, task.extract(right)) is True
    assert task.grade(problem, task.extract(wrong)) is False
    assert task.code is not None
    if name == "mbpp-plus":
        assert task.code.passes_public(problem, wrong) is True  # the first base test alone
        assert "test_list" not in problem.question and "shared((1, 2)" in problem.question
    programs = build.load_programs(name, path)
    assert programs.count == 1
    assert programs.find("HumanEval/0" if "human" in name else "Mbpp/2") == problem


def test_a_reference_that_fails_its_own_test_leaves_its_problem_ungraded_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "plus.jsonl"
    bad = {**HUMANEVAL, "base_input": [[1]], "plus_input": [[float("nan")]], "atol": 0}
    path.write_text(json.dumps(bad) + "\n" + json.dumps({**HUMANEVAL, "task_id": "HumanEval/1"}))
    task = build.load_task("humaneval-plus")
    unusable, usable = task.load("test", None, 0, path)
    right = task.extract(HUMANEVAL["canonical_solution"])
    assert [task.grade(unusable, right), task.grade(unusable, "    return 1\n")] == [None, None]
    assert task.grade(usable, right) is True
    (told,) = caplog.messages  # once, whatever the number of its answers
    assert told.startswith(f"{unusable.id} cannot be graded: the reference fails its own test")
    assert told.endswith("its answers count as not graded")
    with pytest.raises(GradeFault, match=f"^{unusable.id} cannot be graded"):
        strict(task.grade)(unusable, right)

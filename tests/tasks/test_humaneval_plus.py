"""HumanEval+ rows in both of their forms, judged by the real sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import DataError
from stepnav.sandbox import Sandbox, prepare
from stepnav.tasks.programs import humaneval
from stepnav.tasks.programs.humaneval_plus import is_equal
from stepnav.tasks.programs.program_checker import ProgramChecker


def row(name: str, body: str, inputs: list[Any], **fields: Any) -> dict[str, Any]:
    return {
        "task_id": f"HumanEval/{name}", "prompt": f"def {name}(x):\n", "entry_point": name,
        "canonical_solution": body, "contract": "", "base_input": inputs[:1],
        "plus_input": inputs[1:], "atol": 0, **fields,
    }  # fmt: skip


def statuses(tmp_path: Path, fields: dict[str, Any], *bodies: str) -> list[str]:
    path = tmp_path / "HumanEvalPlus.jsonl"
    path.write_text(json.dumps(fields) + "\n")
    (problem,) = humaneval.load(path=path)
    test = humaneval.suite_of(problem)
    assert test is not None
    with ProgramChecker() as checker:
        return [checker.check(problem.question + body, test).status for body in bodies]


def test_base_and_further_inputs_are_both_asked(tmp_path: Path) -> None:
    fields = row("double", "    return [2 * n for n in x]\n", [[[1]], [[2, 3]], [[]]])
    bodies = (
        fields["canonical_solution"],
        "    return [2 * n for n in x] if x == [1] else None\n",  # the base input alone
        "    x += x\n    return x[:0] or [2 * n for n in x[: len(x) // 2]]\n",  # changes its input
        "    return [2.0 * n for n in x]\n",
        "    return tuple(2 * n for n in x)\n",
    )
    assert statuses(tmp_path, fields, *bodies) == ["passed", "failed", "passed", "passed", "failed"]


@pytest.mark.parametrize("name", ["compare", "json", "INPUTS", "candidate_"])
def test_a_function_may_have_any_name(tmp_path: Path, name: str) -> None:
    fields = row(name, "    return x + 1\n", [[1], [2]])
    assert statuses(tmp_path, fields, "    return 1 + x\n", "    return x\n") == [
        "passed",
        "failed",
    ]


def test_tolerance_is_evalplus_own(tmp_path: Path) -> None:
    third = row("third", "    return x / 3\n", [[1.0], [2.5]])
    bodies = ("    return x * (1 / 3) + 1e-9\n", "    return x / 3 + 1e-5\n")
    assert statuses(tmp_path, third, *bodies) == ["passed", "failed"]
    root = row("find_zero", "    return -x[0] / x[1]\n", [[[2.0, 1.0]], [[3.0, -1.0]]], atol=1e-4)
    bodies = ("    return -x[0] / x[1] + 1e-5\n", "    return -x[0] / x[1] + 1e-2\n")
    assert statuses(tmp_path, root, *bodies) == ["passed", "failed"]


def test_an_infinite_value_is_near_itself_alone(tmp_path: Path) -> None:
    fields = row("total", "    return float(sum(x))\n", [[[1.0, 2.0]], [[1e308, 1e308]]])
    bodies = ("    return float(sum(x))\n", "    return 3.0\n")
    assert statuses(tmp_path, fields, *bodies) == ["passed", "failed"]


def test_its_calls_are_sent_in_one_message(tmp_path: Path) -> None:
    fields = row("double", "    return [2 * n for n in x]\n", [[[1]], [[2, 3]], [[]]])
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(fields) + "\n")
    test = humaneval.suite_of(humaneval.load(path=path)[0])
    assert test is not None
    with Sandbox("unsafe") as sandbox:
        assert prepare(sandbox, test).has_fixed_calls


@pytest.mark.parametrize(
    ("found", "wanted", "atol", "equal"),
    [
        (1, 1.0, 0, True),
        (0.1 + 0.2, 0.3, 0, True),
        ([0.1 + 0.2, 1.0], [0.3, 1.0], 0, True),
        ([0.3], [0.3, 0.3], 0, False),
        ((0.1 + 0.2,), [0.3], 0, False),
        ([0.1 + 0.2, 1], [0.3, 1], 0, False),
        ([0.1 + 0.2, 1], [0.3, 1], 1e-6, True),
        ("a", "b", 1e-6, False),
        (float("inf"), float("inf"), 0, True),
        ([float("inf"), 0.1 + 0.2], [float("inf"), 0.3], 0, True),
        (1, 2, 0, False),
        (None, 1.0, 0, False),
        (1.0, float("inf"), 0, False),
        (float("-inf"), float("inf"), 0, False),
        (float("inf"), 1.0, 0, False),
        ([1.0, 2.0], [float("inf"), 2.0], 0, False),
        (float("nan"), 1.0, 0, False),
        (10**400, 1.0, 0, False),
        (10**400 + 1, 10**400, 1e-6, False),
        (1e308, -1e308, 0, False),
    ],
)
def test_equal_values(found: Any, wanted: Any, atol: float, equal: bool) -> None:
    assert is_equal(found, wanted, atol) is equal


LONG_TEXT = "    return ' '.join(map(str, range(x + 1)))\n"
HUGE_NUMBER = "    return 18 * 10 ** x\n"
ORIGINAL = """
def ref_func(x):
{body}

def check(candidate):
    for x in (1, 3, {size}):
        assert candidate(x) == ref_func(x)
"""


@pytest.mark.parametrize("form", ["inputs", "original"])
@pytest.mark.parametrize(
    ("body", "size", "wrong"),
    [
        pytest.param(LONG_TEXT, 10**6, LONG_TEXT.replace("range(x", "range(1, x"), id="6.9 MB"),
        pytest.param(
            HUGE_NUMBER, 10**6, "    return 18 * 10 ** x + (x > 9)\n", id="415 kB",
        ),
    ],
)  # fmt: skip
def test_long_values_pass(tmp_path: Path, form: str, body: str, size: int, wrong: str) -> None:
    fields = row("f", body, [[1], [3], [size]])
    if form == "original":
        for name in ("base_input", "plus_input", "contract", "atol"):
            del fields[name]
        fields["test"] = ORIGINAL.format(body=body, size=size)
    assert statuses(tmp_path, fields, body, wrong) == ["passed", "failed"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_input": None}, "field 'base_input' must be a list of argument lists"),
        ({"plus_input": [1]}, "field 'plus_input' must be a list of argument lists"),
        ({"atol": -1}, "field 'atol' must be a number from 0 up"),
        ({"atol": "1"}, "field 'atol' must be a number from 0 up"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps({**row("f", "    return x\n", [[1]]), **change}) + "\n")
    with pytest.raises(DataError, match=f"line 1: .*{message}"):
        humaneval.load(path=path)


def test_the_reference_runs_once_per_input(tmp_path: Path) -> None:
    fields = row("f", "    return x\n", [[n] for n in range(4)])
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(fields) + "\n")
    test = humaneval.suite_of(humaneval.load(path=path)[0])
    assert test is not None
    calls = []

    def f(x: int) -> int:
        calls.append(x)
        return x

    names: dict[str, Any] = {"f": f}
    exec(test.test, names)
    for _ in range(3):
        names["check"](lambda x: x)
    with pytest.raises(AssertionError, match=r"\[2\] gave 0, not 2"):
        names["check"](lambda x: x % 2)
    assert calls == [0, 1, 2, 3]

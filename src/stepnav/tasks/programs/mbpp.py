r"""MBPP: mostly basic Python problems (Austin et al. 2021, arXiv 2108.07732).

Official file: `mbpp.jsonl` of github.com/google-research/google-research, with `text`, `code`,
`task_id`, `test_setup_code`, `test_list` and `challenge_test_list`. Its splits are ranges of task
ids: 601-974 train, 511-600 validation, 11-510 test, 1-10 prompt (few-shot examples). The question
is the text and all of `test_list`, as in the paper; a solution is a whole program. Graded on
`test_list`, in the sandbox; `challenge_test_list` is not used, as there.

The public test, for rewards, is the first of `test_list` alone: with all of them a reward would
know the grade.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from stepnav.core.records import Problem
from stepnav.sandbox.records import Suite
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.programs.code_task import make_code_task
from stepnav.tasks.programs.program_text import cut_program, parse, program_in, split_statements
from stepnav.tasks.task import Task
from stepnav.tasks.worked_examples import shipped_examples

SEPARATOR = "\n"
PROMPT_TEMPLATE = (
    "You are an expert Python programmer, and here is your task: {question}\n[BEGIN]\n"
)
"""For completion models, as in Austin et al. 2021, section 3.1, and lm-eval's `mbpp`, but for the
words "Your code should pass these tests:" before the tests: the question is the one that labelled
data have. Worked examples go before it."""

END_STRINGS = ("[DONE]",)
"""Where a completion model has gone past its program; lm-eval 0.4.13, `mbpp.yaml`."""

DEFAULT_SHOTS = 3

CHAT_TEMPLATE = (
    "Write a Python program for this task. Answer with the program in one ```python block and "
    "nothing else.\n\n{question}"
)
"""For chat models."""

TEMPERATURE = 0.2
"""Of all draws where none is set; Ma et al. 2023 (arXiv 2310.10080), section 4.1, for code."""

ANSWER_PATTERN = r'^\n*(?:print\b|assert\b|if __name__|"""|```|\[DONE\])'
"""A step after the program's end."""

CHAT_ANSWER_PATTERN = r"^\s*```\s*$"
"""The step that closes a chat model's block."""

ID_RANGES = {"train": (601, 974), "validation": (511, 600), "test": (11, 510), "prompt": (1, 10)}
"""First and last task id of each split."""


def ask(text: str) -> Problem:
    """Return the user's own task, in words, as a problem without tests."""
    return Problem("given", text.strip())


def extract(text: str) -> str | None:
    """Return a solution's program up to its end; None if it is no Python or defines no function."""
    program = program_in(text, cut_program)
    tree = parse(program)
    if tree is None or not any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree)):
        return None
    return program.rstrip() + "\n"


def split(text: str) -> list[str]:
    """Return a completion's steps up to its end: one statement each, see `split_statements`."""
    return split_statements(cut_program(text))


def program_of(problem: Problem, answer: str) -> str:
    """Return the program that an answer makes of a problem: itself."""
    return answer


def after_prompt(problem: Problem, completion: str) -> str:
    """Return the program that a sample makes: the completion alone, as the prompt is prose."""
    return completion


def suite_of(problem: Problem, *, public: bool = False) -> Suite | None:
    """Return the problem's tests, or the public one; None where there are none."""
    if not problem.metadata:
        return None
    tests = problem.metadata["public" if public else "tests"]
    return Suite(
        "\n".join(tests),
        problem.metadata["entry_point"],
        "mbpp",
        problem.answer,
        problem.metadata["setup"],
    )


def names_of(problem: Problem) -> tuple[str, ...]:
    """Return the ids by which samples files name a problem: evalplus', its number, and ours."""
    number = problem.metadata["task_id"]
    return (f"Mbpp/{number}", f"MBPP/{number}", str(number), problem.id)


def entry_point_of(code: str, tests: Sequence[str]) -> str | None:
    """Return the function of a program that its tests call, None if they call none."""
    tree, called = parse(code), parse("\n".join(tests))
    if tree is None or called is None:
        return None
    defined = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = [
        node.func.id
        for node in ast.walk(called)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    return next((name for name in names if name in defined), None)


def _make(problem_id: str, row: Fields) -> Problem:
    task_id = row["task_id"]
    if not isinstance(task_id, int):
        raise ValueError(f"field 'task_id' must be a whole number (got {task_id!r})")
    tests = _texts(row, "test_list")
    if not tests:
        raise ValueError("field 'test_list' holds no test")
    code = text_field(row, "code").replace("\r\n", "\n")
    entry_point = entry_point_of(code, tests)
    if entry_point is None:
        raise ValueError("field 'test_list' calls nothing that field 'code' defines")
    metadata = {
        "task_id": task_id,
        "entry_point": entry_point,
        "setup": str(row.get("test_setup_code") or "").replace("\r\n", "\n"),
        "tests": tests,
        "public": tests[:1],
    }
    question = "\n".join([text_field(row, "text").strip(), *tests])
    return Problem(f"mbpp-{task_id}", question, code, metadata)


def _texts(row: Fields, name: str) -> list[str]:
    """Return a field that must be a list of texts."""
    values: Any = row[name]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"field {name!r} must be a list of texts (got {values!r})")
    return [value.replace("\r\n", "\n") for value in values]


def _is_of(problem: Problem, split: str) -> bool:
    low, high = ID_RANGES[split]
    return bool(low <= problem.metadata["task_id"] <= high)


BENCHMARK = Benchmark(
    "mbpp", tuple(ID_RANGES), ("google-research-datasets/mbpp", "full"), _make, is_of=_is_of
)
load = BENCHMARK.load


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return make_code_task(
        BENCHMARK.name, sys.modules[__name__], sandbox, splits=BENCHMARK.splits,
        load=load,
        examples=lambda count: shipped_examples("mbpp", count),
    )  # fmt: skip

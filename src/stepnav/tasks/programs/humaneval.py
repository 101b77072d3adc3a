r"""HumanEval: functions to be completed from their docstring (Chen et al. 2021, arXiv 2107.03374).

Official file: `HumanEval.jsonl.gz` of github.com/openai/human-eval, with `task_id`, `prompt`,
`canonical_solution`, `test` and `entry_point`; all of it is the test set. The question is the
prompt as it stands there, a solution is what follows it.
Graded by running it: the program alone goes into the sandbox, the tests stay outside. Files of
HumanEval+ are read too, with `base_input` and `plus_input` (see `humaneval_plus`) or in the
original format with one long `test`.

Public tests, for rewards, are the docstring's `>>>` examples that are calls with literal arguments
and results; a problem without one has none. Differs in: where a completion is a whole program (chat
models), it is graded as one.
"""

from __future__ import annotations

import ast
import doctest
import re
import sys

from stepnav.core.records import Problem
from stepnav.sandbox.records import Suite
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.programs.code_task import make_code_task
from stepnav.tasks.programs.humaneval_plus import make_test
from stepnav.tasks.programs.program_text import (
    RETURN,
    cut_body,
    is_whole_program,
    parse,
    split_statements,
    unfenced,
    with_preamble,
)
from stepnav.tasks.task import Task

SEPARATOR = "\n"
PROMPT_TEMPLATE = "{question}"
"""For completion models: the prompt alone, which is shown without its last line break."""

CHAT_TEMPLATE = (
    "Complete the Python function below. Answer with the whole function, imports included, in one "
    "```python block and nothing else.\n\n```python\n{question}```"
)
"""For chat models."""

TEMPERATURE = 0.2
"""Of all draws where none is set; Ma et al. 2023 (arXiv 2310.10080), section 4.1, for code."""

ANSWER_PATTERN = rf"^\n*(?:{RETURN}|class\b|def\b|if\b|print\b|assert\b|[#@`])"
"""A step that ends a body: a return at its own depth, or text in the first column."""

CHAT_ANSWER_PATTERN = r"^\s*```\s*$"
"""The step that closes a chat model's block."""


def ask(text: str) -> Problem:
    """Return the user's own prompt, up to the function's body, as a problem without tests."""
    return Problem("given", text.rstrip() + "\n")


def extract(text: str) -> str | None:
    """Return a solution's body up to its end, or its whole program.

    None if it is no Python or returns nothing.
    """
    text = unfenced(text)
    if is_whole_program(text):
        tree, kept = parse(text), text
    else:
        kept = cut_body(text)
        tree = parse("def body():\n" + kept)
    if tree is None or not any(isinstance(node, ast.Return) for node in ast.walk(tree)):
        return None
    return kept.rstrip() + "\n"


def split(text: str) -> list[str]:
    """Return a completion's steps up to its end: one statement each, see `split_statements`."""
    return split_statements(cut_body(text))


def program_of(problem: Problem, answer: str) -> str:
    """Return the program that an answer makes of a problem."""
    if not is_whole_program(answer):
        return problem.question + answer
    return with_preamble(_preamble(problem), answer)


def _preamble(problem: Problem) -> str:
    """Return what stands in the prompt before the function that is asked for."""
    name = re.escape(problem.metadata.get("entry_point", ""))
    header = re.search(rf"^(?:async )?def {name or '[^(]+'}\b", problem.question, re.MULTILINE)
    return problem.question[: header.start()] if header else ""


def after_prompt(problem: Problem, completion: str) -> str:
    """Return the program that a sample makes: the prompt and what follows it, whatever that is."""
    return problem.question + completion


def suite_of(problem: Problem, *, public: bool = False) -> Suite | None:
    """Return the problem's test, or the docstring's examples; None where there are none."""
    if not problem.metadata:
        return None
    entry_point = problem.metadata["entry_point"]
    if not public:
        reference = None if problem.answer is None else program_of(problem, problem.answer)
        return Suite(problem.metadata["test"], entry_point, "humaneval", reference)
    examples = problem.metadata["public"]
    return Suite("\n".join(examples), entry_point, "mbpp") if examples else None


def names_of(problem: Problem) -> tuple[str, ...]:
    """Return the task ids by which samples files name a problem."""
    return (problem.metadata["task_id"], problem.id)


def doctest_examples(prompt: str, entry_point: str) -> list[str]:
    """Return the docstring's examples as assert statements, those that are literal calls only."""
    try:
        examples = doctest.DocTestParser().get_examples(prompt)
    except ValueError:
        return []
    asserts = []
    for example in examples:
        source, want = example.source.strip(), example.want.strip()
        if _is_literal(want) and _is_literal_call(source, entry_point):
            asserts.append(f"assert {source} == {want}")
    return asserts


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _is_literal_call(source: str, entry_point: str) -> bool:
    tree = parse(source)
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return False
    call = tree.body[0].value
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == entry_point
        and not call.keywords
        and all(_is_literal(ast.unparse(argument)) for argument in call.args)
    )


def _make(problem_id: str, row: Fields) -> Problem:
    task_id, prompt = text_field(row, "task_id"), text_field(row, "prompt")
    entry_point = text_field(row, "entry_point")
    if not re.search(rf"def {re.escape(entry_point)}\b", prompt):
        raise ValueError(f"field 'prompt' does not define {entry_point!r}")
    metadata = {
        "task_id": task_id,
        "entry_point": entry_point,
        "test": make_test(row, entry_point) if "plus_input" in row else text_field(row, "test"),
        "public": doctest_examples(prompt, entry_point),
    }
    number = task_id.rpartition("/")[2]
    return Problem(f"humaneval-{number}", prompt, text_field(row, "canonical_solution"), metadata)


BENCHMARK = Benchmark("humaneval", ("test",), ("openai/openai_humaneval", None), _make)
load = BENCHMARK.load


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return make_code_task(
        BENCHMARK.name, sys.modules[__name__], sandbox, splits=BENCHMARK.splits,
        load=load,
    )  # fmt: skip

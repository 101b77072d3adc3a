r"""Programs that read standard input and write standard output, with inputs and outputs as tests.

The question is the row's, a solution a whole program. Judged in the sandbox, see
`sandbox/streams.py`; forms of rows: `stdin_rows.py`. Problems that ask for a function are left out.

Public tests, for rewards, are those that a row calls so, else the first one. Prompt for completion
models: Hendrycks et al. 2021 (APPS, arXiv 2105.09938).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.files.rows import every_row
from stepnav.sandbox.records import Suite
from stepnav.sandbox.streams import stream_suite
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.programs.code_task import make_code_task
from stepnav.tasks.programs.program_text import cut_script, parse, program_in
from stepnav.tasks.programs.stdin_rows import FORMS, solution_of
from stepnav.tasks.task import Task

PROMPT_TEMPLATE = "QUESTION:\n{question}\n\nUse Standard Input format\n\nANSWER:\n"
"""For completion models."""

CHAT_TEMPLATE = (
    "Write a Python program that reads standard input and writes standard output. Answer with the "
    "program in one ```python block and nothing else.\n\n{question}"
)
"""For chat models."""

END_STRINGS = ("QUESTION:",)
TEMPERATURE = 0.2
"""Of all draws where none is set; as the other code tasks."""

ANSWER_PATTERN = r"^\n*(?:QUESTION:|```|\[DONE\])"
"""A step after the program's end."""

CHAT_ANSWER_PATTERN = r"^\s*```\s*$"
"""The step that closes a chat model's block."""


def extract(text: str) -> str | None:
    """Return a solution's program up to its end; None if it is no Python or empty."""
    program = program_in(text, cut_script)
    tree = parse(program)
    return program.rstrip() + "\n" if tree is not None and tree.body else None


def ask(text: str) -> Problem:
    """Return the user's own task, in words, as a problem without tests."""
    return Problem("given", text.strip())


def program_of(problem: Problem, answer: str) -> str:
    """Return the program that an answer makes of a problem: itself."""
    return answer


def after_prompt(problem: Problem, completion: str) -> str:
    """Return the program that a sample makes: the completion alone."""
    return completion


def names_of(problem: Problem) -> tuple[str, ...]:
    """Return the ids by which samples files name a problem: the row's own, and ours."""
    return (problem.metadata["name"], problem.id)


def suite_of(problem: Problem, *, public: bool = False) -> Suite | None:
    """Return the problem's tests, or the public ones; None where there are none."""
    pairs = problem.metadata.get("public" if public else "tests")
    return stream_suite(pairs) if pairs else None


def stdin_benchmark(
    name: str, splits: tuple[str, ...], hub: tuple[str, str | None], question: str, tests: str
) -> Benchmark:
    """Return a benchmark of such rows, without those that ask for a function.

    Args:
      name, splits, hub: see `Benchmark`.
      question: field of the question.
      tests: field by which the form is known, a key of `FORMS`.
    """
    return Benchmark(
        name,
        splits,
        hub,
        partial(_make, question, tests),
        is_of=lambda problem, split: bool(problem.metadata["tests"]),
        none_text="with standard input",
    )


def stdin_task(benchmark: Benchmark, sandbox: str) -> Task:
    """Return the task of a benchmark; its programs are run at a level of the sandbox."""
    module = sys.modules[__name__]
    return make_code_task(
        benchmark.name, module, sandbox, splits=benchmark.splits, load=benchmark.load
    )


def file_form(path: Path) -> str | None:
    """Return the field by which a file's first row is known to be of this kind, None if it is not.

    Raises:
      DataError: the file cannot be read.
    """
    row = next(every_row(path))
    return next((name for name in FORMS if name in row.fields), None)


def file_task(path: Path, form: str, *, name: str, question_field: str, sandbox: str) -> Task:
    """Return the task of the user's own rows; arguments as in `stdin_benchmark`."""
    benchmark = stdin_benchmark(name, ("test",), ("", None), question_field, form)

    def load_own(split: str, count: int | None, seed: int, data: Path | None) -> list[Problem]:
        if data is not None:
            raise ConfigError(f"the task {name} brings its own problems; leave --data out")
        return benchmark.load(split, count, seed, path)

    return replace(stdin_task(benchmark, sandbox), load=load_own)


def _make(question: str, tests: str, problem_id: str, row: Fields) -> Problem:
    text, (public, hidden) = text_field(row, question), FORMS[tests](row[tests], row)
    pairs = [*public, *hidden]
    names = (str(row[name]) for name in ("task_id", "question_id", "problem_id", "name", "id")
             if name in row)  # fmt: skip
    metadata = {
        "tests": pairs, "public": public or pairs[:1], "name": next(names, problem_id),
        "difficulty": str(row.get("difficulty", "")),
    }  # fmt: skip
    return Problem(problem_id, text.strip(), solution_of(row), metadata)

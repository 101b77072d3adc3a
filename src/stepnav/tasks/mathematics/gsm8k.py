"""GSM8K: grade-school word problems (Cobbe et al. 2021, arXiv 2110.14168).

Official files: `train.jsonl` and `test.jsonl` of github.com/openai/grade-school-math, with
`question` and `answer` (reasoning lines, then `#### N`). Graded as numbers, as there: a solution is
right if its final number equals the reference. Differs in: the number is read wherever a solution
states it, in a box, after `####` with words around it, or without a mark; docs/answers.md lists the
differences from the official grader by class.
"""

from __future__ import annotations

from stepnav.answers.canonical import canonical, parse_number
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics.number_problems import number_task
from stepnav.tasks.task import Task


def _make(problem_id: str, row: Fields) -> Problem:
    solution = text_field(row, "answer")
    _, mark, answer = solution.rpartition("####")
    if not mark or parse_number(answer) is None:
        raise ValueError("field 'answer' does not end in '#### NUMBER'")
    question = text_field(row, "question")
    return Problem(problem_id, question, canonical(answer), {"solution": solution})


BENCHMARK = Benchmark("gsm8k", ("train", "test"), ("openai/gsm8k", "main"), _make)
load = BENCHMARK.load


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    return number_task(BENCHMARK)

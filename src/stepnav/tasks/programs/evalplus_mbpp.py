"""MBPP+: 378 problems of MBPP with many more tests (Liu et al. 2023, arXiv 2305.01210).

File: the hub's rows (evalplus/mbppplus) with `prompt`, `code`, `test_list`, `test_imports` and
`test`, which brings inputs, results and their comparison, and numpy where it imports that. The
question and the public test are MBPP's. evalplus' own MbppPlus.jsonl is not read: its inputs need
a reader that turns lists into tuples and sets problem by problem.
"""

from __future__ import annotations

from dataclasses import replace

from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.programs import mbpp
from stepnav.tasks.programs.code_task import make_code_task
from stepnav.tasks.task import Task
from stepnav.tasks.worked_examples import shipped_examples


def _make(problem_id: str, row: Fields) -> Problem:
    tests, setup = [text_field(row, "test")], "\n".join(row["test_imports"])
    text = {"text": text_field(row, "prompt"), "test_setup_code": setup}
    problem = mbpp.BENCHMARK.make(problem_id, {**row, **text})
    return replace(problem, metadata={**problem.metadata, "tests": tests})


BENCHMARK = Benchmark("mbpp-plus", ("test",), ("evalplus/mbppplus", None), _make)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return make_code_task(
        BENCHMARK.name, mbpp, sandbox, splits=BENCHMARK.splits,
        load=BENCHMARK.load, examples=lambda count: shipped_examples("mbpp", count),
    )  # fmt: skip

"""GSM-Symbolic: GSM8K's problems from templates (Mirzadeh et al. 2024, arXiv 2410.05229).

Official files: JSON lines with GSM8K's `question` and `answer`, the template's `id`, `instance`;
the splits p1 and p2 are the harder variants, with one and two more clauses. Graded as GSM8K is.
Problems of one template are alike: where several are drawn, intervals are too narrow.
"""

from __future__ import annotations

from dataclasses import replace

from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields
from stepnav.tasks.mathematics import gsm8k
from stepnav.tasks.mathematics.number_problems import number_task
from stepnav.tasks.task import Task


def _make(problem_id: str, row: Fields) -> Problem:
    problem = gsm8k.BENCHMARK.make(problem_id, row)
    template = {"template": row["id"], "instance": row["instance"]}
    return replace(problem, metadata={**problem.metadata, **template})


BENCHMARK = Benchmark(
    "gsm-symbolic", ("test", "p1", "p2"), ("apple/GSM-Symbolic", "main"), _make,
    {"p1": ("p1", "test"), "p2": ("p2", "test")},
)  # fmt: skip


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    return number_task(BENCHMARK)

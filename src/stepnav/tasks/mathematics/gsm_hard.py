"""GSM-Hard: GSM8K's test problems with large numbers (Gao et al. 2022, PAL, arXiv 2211.10435).

Official file: JSON rows with `input`, `code` and `target`, a float, as on the hub
(reasoning-machines/gsm-hard, 1,319 rows); all of it is the test set. Graded as in PAL's repository,
less than .001 apart as Python floats.
"""

from __future__ import annotations

from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics.number_problems import compare_floats, number_field, number_task
from stepnav.tasks.task import Task


def _make(problem_id: str, row: Fields) -> Problem:
    question, target = text_field(row, "input").strip(), number_field(row, "target")
    return Problem(problem_id, question, target, {"code": text_field(row, "code")})


BENCHMARK = Benchmark(
    "gsm-hard", ("test",), ("reasoning-machines/gsm-hard", None), _make, {"test": (None, "train")}
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    return number_task(BENCHMARK, compare=compare_floats)

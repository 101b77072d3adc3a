"""MAWPS: word problems of several older collections (Koncel-Kedziorski et al. 2016, NAACL).

Files: JSON rows with `input` and `target`, a number, as ToRA's; the hub's copy (MU-NLPC/Calc-mawps)
calls them `question` and `result_float`, the authors' own file `sQuestion` and `lSolutions`. Graded
as PAL does (Gao et al. 2022), less than .001 apart.
"""

from __future__ import annotations

from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics.number_problems import compare_floats, number_field, number_task
from stepnav.tasks.task import Task

NAMES = {"question": "result_float", "sQuestion": "lSolutions"}
"""What `input` and `target` are called elsewhere."""


def _make(problem_id: str, row: Fields) -> Problem:
    name = next((name for name in NAMES if name in row), "input")
    question = text_field(row, name).strip()
    return Problem(problem_id, question, number_field(row, NAMES.get(name, "target")))


BENCHMARK = Benchmark("mawps", ("train", "test"), ("MU-NLPC/Calc-mawps", None), _make)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    return number_task(BENCHMARK, compare=compare_floats)

"""SVAMP: elementary problems with varied wording (Patel et al. 2021, arXiv 2103.07191).

Official file: `SVAMP.json` of github.com/arkilpatel/SVAMP, 1,000 rows with `Body`, `Question`,
`Equation`, `Answer`, `Type`; all of it is the test set there. The hub's copy (ChilleD/SVAMP) cuts
it into 700 train and 300 test rows. Graded as numbers.
"""

from __future__ import annotations

from stepnav.answers.canonical import canonical, parse_number
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics.number_problems import number_task
from stepnav.tasks.task import Task


def _make(problem_id: str, row: Fields) -> Problem:
    body, question = text_field(row, "Body").strip(), text_field(row, "Question").strip()
    answer = str(row["Answer"])
    if parse_number(answer) is None:
        raise ValueError(f"field 'Answer' must be a number (got {answer!r})")
    if body[-1] not in ".,?!":
        body += "."
    metadata = {"equation": str(row.get("Equation", "")), "type": str(row.get("Type", ""))}
    return Problem(problem_id, f"{body} {question}", canonical(answer), metadata)


BENCHMARK = Benchmark("svamp", ("train", "test"), ("ChilleD/SVAMP", None), _make)
load = BENCHMARK.load


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    return number_task(BENCHMARK)
